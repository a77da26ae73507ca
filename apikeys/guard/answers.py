"""How rows are answered: by code compiled once of the serializer that declares the answer.

REST framework copies a serializer's fields for each answer, which takes longer than the guard.
Here its fields are read once in a process. Ids, times and enums are left to orjson, which writes
them as REST framework does, and a caller's JSON object is the text that is stored.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cache, cached_property, lru_cache
from operator import attrgetter, itemgetter
from typing import Any
from uuid import UUID

import orjson
from django.db.models import Manager
from django.db.models.manager import BaseManager
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
    """What a serializer of REST framework's generic views answers, by fields made once.

    ``data`` is what the serializer's own code makes of its shared fields. Whatever else is asked or
    set goes to a serializer that ``make`` returns, and so does ``data`` from then on.
    """

    def __init__(
        self, serializer_class: Any, rows: Any, make: Callable[[], Any], *, many: bool
    ) -> None:
        self.__dict__.update(_class=serializer_class, _rows=rows, _make=make, _many=many)

    @cached_property
    def data(self) -> Any:
        if "_own" in self.__dict__:
            return self._own.data
        represent_one = _shared(self._class).to_representation
        if not self._many:
            return represent_one(self._rows)
        rows = self._rows.all() if isinstance(self._rows, BaseManager) else self._rows
        return [represent_one(row) for row in rows]

    @cached_property
    def _own(self) -> Any:
        self.__dict__.pop("data", None)
        return self._make()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or "_make" not in self.__dict__:
            raise AttributeError(name)
        return getattr(self._own, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._own, name, value)

    def __getitem__(self, name: str) -> Any:
        return self._own[name]

    def __iter__(self) -> Any:
        return iter(self._own)


# What a serializer may declare besides fields; none of it has a part in what is answered.
_INPUT = {"Meta", "create", "update", "_declared_fields"}
# REST framework's own fields that read more than a row's attribute.
_READING_MORE = (serializers.SerializerMethodField, serializers.HiddenField, serializers.FileField)
MAX_SHARED = 512


@lru_cache(maxsize=MAX_SHARED)
def can_share(serializer_class: Any) -> bool:
    """Whether the answers of a serializer depend on the row alone, and not on the request."""
    kinds = (serializers.ModelSerializer, serializers.Serializer)
    framework = next((kind for kind in kinds if issubclass(serializer_class, kind)), None)
    return (
        framework is not None
        and not _overridden(serializer_class, framework)
        and not hasattr(getattr(serializer_class, "Meta", None), "list_serializer_class")
        and all(_reads_attribute(field) for field in _shared(serializer_class).fields.values())
    )


def _overridden(serializer_class: type, framework: type) -> set[str]:
    """Return what a serializer has in place of REST framework's, but for its input."""
    own = (part for part in serializer_class.__mro__ if part not in framework.__mro__)
    names = {
        name
        for part in own
        for name, value in vars(part).items()
        if not name.startswith("__") or callable(value)
    }
    return {name for name in names - _INPUT if hasattr(framework, name)}


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


@lru_cache(maxsize=MAX_SHARED)
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
