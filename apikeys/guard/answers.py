"""How rows are answered: by code compiled once of the serializer that declares the answer.

REST framework copies a serializer's fields for each answer, which takes longer than the guard.
Here its fields are read once in a process. Ids, times and enums are left to orjson, which writes
them as REST framework does, and a caller's JSON object is the text that is stored.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache
from inspect import getattr_static
from operator import attrgetter, itemgetter
from typing import Any
from uuid import UUID

import orjson
from django.db.models import Manager
from rest_framework import renderers, serializers

from apikeys.guard.serializers import ObjectField
from database.fields import object_text

Read = Callable[[Any], Any]
SerializerClass = type[serializers.BaseSerializer[Any]]

# The fields whose values orjson writes as they do; a subclass that represents them otherwise is
# not among them.
WRITTEN_AS_THEY_ARE = frozenset(
    field.to_representation
    for field in (
        serializers.BooleanField,
        serializers.CharField,
        serializers.ChoiceField,
        serializers.DateTimeField,
        serializers.IntegerField,
        serializers.ListField,
        serializers.UUIDField,
    )
)


class RedactingSerializer(serializers.ModelSerializer[Any]):
    """Answers rows of which the calling key may see only a part."""

    def redact(self, data: dict[str, Any]) -> None:
        """Remove from an answer what a redacted row hides."""
        raise NotImplementedError

    def to_representation(self, row: Any) -> dict[str, Any]:
        data: dict[str, Any] = super().to_representation(row)
        if row.is_redacted:
            self.redact(data)
        return data


class Representation:
    """What a serializer answers of a row, of a mapping, or of columns."""

    def __init__(self, serializer: Any) -> None:
        fields = serializer.fields
        self._readers = {name: _reader(field, attrgetter) for name, field in fields.items()}
        self._item_readers = {name: _reader(field, itemgetter) for name, field in fields.items()}
        self._redact = getattr(serializer, "redact", None)
        self._objects = [name for name, field in fields.items() if isinstance(field, ObjectField)]
        has_all = (
            "id" in fields
            and self._redact is None
            and all(_is_column(field) for field in fields.values())
        )
        # What to read for ``of_columns``; none where columns are not enough.
        self.columns = tuple(field.source for field in fields.values()) if has_all else ()

    def of(self, row: Any) -> dict[str, Any]:
        if isinstance(row, Mapping):
            return {name: read(row) for name, read in self._item_readers.items()}
        data = {name: read(row) for name, read in self._readers.items()}
        if self._redact is not None and row.is_redacted:
            self._redact(data)
        return data

    def of_all(self, rows: Any) -> list[dict[str, Any]]:
        return [self.of(row) for row in (rows.all() if isinstance(rows, Manager) else rows)]

    def of_columns(self, values: Iterable[Any]) -> dict[str, Any]:
        data = dict(zip(self._readers, values, strict=True))
        for name in self._objects:
            data[name] = _json_object(data[name])
        return data


def representation(serializer_class: SerializerClass) -> Representation:
    known: Any = serializer_class
    return _compiled(known)


@cache
def _compiled(serializer_class: Any) -> Representation:
    return Representation(serializer_class())


def represent(serializer_class: SerializerClass, row: Any) -> dict[str, Any]:
    """Return what ``serializer_class`` declares of a row, for ``JSONRenderer`` to write."""
    return representation(serializer_class).of(row)


class Shown:
    """What a serializer of REST framework's generic views says of rows, by fields made once.

    ``data`` is what the serializer's own code makes of its shared fields. Whatever else is asked
    goes to a serializer that ``make`` returns, and so does ``data`` from then on.
    """

    def __init__(
        self, serializer_class: Any, rows: Any, make: Callable[[], Any], *, many: bool
    ) -> None:
        self._class, self._rows, self._make, self._many = serializer_class, rows, make, many
        self._made: Any = None

    @property
    def data(self) -> Any:
        if self._made is not None:
            return self._made.data
        shown = _shared(self._class).to_representation
        if not self._many:
            return shown(self._rows)
        rows = self._rows.all() if isinstance(self._rows, Manager) else self._rows
        return [shown(row) for row in rows]

    def __getattr__(self, name: str) -> Any:
        if self._made is None:
            self._made = self._make()
        return getattr(self._made, name)


# What a class that only declares fields leaves as REST framework has it.
_DECLARING = (
    "__init__",
    "__new__",
    "data",
    "fields",
    "get_fields",
    "many_init",
    "to_representation",
)
# REST framework's own fields that read more than a row's attribute.
_READING_MORE = (serializers.SerializerMethodField, serializers.HiddenField, serializers.FileField)


@cache
def can_share(serializer_class: Any) -> bool:
    """Whether the answers of a serializer depend on the row alone, and not on the request."""
    kinds = (serializers.ModelSerializer, serializers.Serializer)
    framework = next((kind for kind in kinds if issubclass(serializer_class, kind)), None)
    return (
        framework is not None
        and all(
            getattr_static(serializer_class, name) is getattr_static(framework, name)
            for name in _DECLARING
        )
        and not hasattr(getattr(serializer_class, "Meta", None), "list_serializer_class")
        and all(_reads_attribute(field) for field in _shared(serializer_class).fields.values())
    )


def _reads_attribute(field: Any) -> bool:
    is_known = type(field).__module__ == serializers.Field.__module__ or isinstance(
        field, ObjectField
    )
    child = getattr(field, "child", None)
    return (
        is_known
        and field.source != "*"
        and not isinstance(field, _READING_MORE)
        and (child is None or _reads_attribute(child))
    )


@cache
def _shared(serializer_class: Any) -> Any:
    return serializer_class()


def _is_column(field: Any) -> bool:
    is_plain = type(field).to_representation in WRITTEN_AS_THEY_ARE or isinstance(
        field, ObjectField
    )
    return is_plain and "." not in field.source and field.source != "*"


def _reader(field: Any, getter: Callable[[str], Read]) -> Read:
    source = str(field.source)
    if isinstance(field, serializers.SerializerMethodField):
        method: Read = getattr(field.parent, str(field.method_name))
        return method
    if isinstance(field, serializers.ListSerializer):
        return _then(getter(source), Representation(field.child).of_all)
    if isinstance(field, serializers.BaseSerializer):
        return _then(getter(source), Representation(field).of)
    if isinstance(field, ObjectField):
        return _then(getter(source), _json_object)
    if _is_column(field):
        return getter(source)
    return _then(field.get_attribute, field.to_representation)


def _then(read: Read, convert: Read) -> Read:
    def read_and_convert(row: Any) -> Any:
        value = read(row)
        return None if value is None else convert(value)

    return read_and_convert


def _json_object(value: Any) -> Any:
    """Return a caller's JSON object as its text, which orjson might write otherwise."""
    return orjson.Fragment(value if isinstance(value, str) else object_text(value))


def written(data: Any) -> bytes:
    """Return an answer as JSON text.

    Raises ``TypeError`` for a number of more than 64 bits, or a type that orjson does not know.
    """
    body = orjson.dumps(data, option=orjson.OPT_UTC_Z)
    # In JavaScript these two ended a line, even in a string.
    return body.replace(b"\xe2\x80\xa8", b"\\u2028").replace(b"\xe2\x80\xa9", b"\\u2029")


class JSONRenderer(renderers.JSONRenderer):
    """Writes what REST framework's renderer does, with orjson."""

    def render(
        self,
        data: Any,
        accepted_media_type: str | None = None,
        renderer_context: Mapping[str, Any] | None = None,
    ) -> Any:
        if data is None:
            return b""
        try:
            body = written(data)
        except TypeError:
            return super().render(data, accepted_media_type, renderer_context)
        if ";" in (accepted_media_type or ""):
            # The media type may ask for an indent.
            return super().render(json.loads(body), accepted_media_type, renderer_context)
        return body


def etag(row_id: UUID | str, updated_at: datetime) -> str:
    """Return the tag of a row as it is (RFC 9110 §8.8.3); every change moves ``updated_at``."""
    return f'"{str(row_id)[-12:]}-{int(updated_at.timestamp() * 1_000_000):x}"'
