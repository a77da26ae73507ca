"""Strict reading of bodies and query strings: what is not known is refused, not ignored."""

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import datetime
from functools import cache, cached_property
from typing import Any, ClassVar, TypeVar
from urllib.parse import unquote_to_bytes
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import MaxLengthValidator, ProhibitNullCharactersValidator
from django.http import HttpRequest
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import SkipField, empty
from rest_framework.validators import ProhibitSurrogateCharactersValidator

from apikeys.guard.problems import MAX_ERRORS, ErrorList, FieldErrors, not_named
from database import timestamps
from database.fields import MAX_OBJECT_BYTES, object_bytes
from database.text import check_line

# What ``_reader`` does; a field with another way of its own keeps it.
USUAL = (serializers.Field.run_validation, serializers.CharField.run_validation)
# Of a field: its name, its source, what reads its value, what is called if there is none.
Reader = tuple[str, str, Callable[[Any], Any], Callable[[], Any] | None]
S = TypeVar("S", bound="StrictSerializer")


class StrictSerializer(serializers.Serializer[Any]):
    """A serializer that refuses what it does not name.

    What is valid is read by functions made once from the fields, with the fields' own conversions
    and validators. Anything else goes through REST framework, which says what is wrong.
    """

    def to_internal_value(self, data: Any) -> Any:
        with suppress(NotRead, serializers.ValidationError, ValidationError):
            return self.read_valid(data)
        if isinstance(data, dict):
            known = {name for name, field in self.fields.items() if not field.read_only}
            if not data.keys() <= known:
                errors = ErrorList()
                errors.add_unknown(data, known)
                raise serializers.ValidationError(errors.as_details())
        return super().to_internal_value(data)

    def read_valid(self, data: Any) -> dict[str, Any]:
        """Return the values of an object; raise ``NotRead`` or a validator's error for others."""
        if type(data) is not dict or self.readers is None:
            raise NotRead
        values: dict[str, Any] = {}
        remaining = len(data)
        for name, source, read, read_missing in self.readers:
            if name in data:
                remaining -= 1
                values[source] = read(data[name])
            elif read_missing is not None:
                with suppress(SkipField):
                    values[source] = read_missing()
        if remaining:
            raise NotRead
        return values

    @cached_property
    def readers(self) -> list[Reader] | None:
        """None if REST framework does more with some field than read what has its name."""
        fields: list[Any] = [field for field in self.fields.values() if not field.read_only]
        for field in fields:
            is_direct = field.source_attrs == [field.source]
            is_more = hasattr(self, f"validate_{field.field_name}")
            if is_more or not is_direct or isinstance(field, serializers.HiddenField):
                return None
        return [
            (
                field.field_name,
                field.source,
                _reader(field),
                field.run_validation if field.required or field.default is not empty else None,
            )
            for field in fields
        ]


class NotRead(Exception):
    """Something is wrong with a body; REST framework is to say what."""


def _reader(field: serializers.Field[Any, Any, Any, Any]) -> Callable[[Any], Any]:
    """Return what reads a value as ``run_validation`` does if nothing is wrong with it."""
    if type(field).run_validation not in USUAL:
        return field.run_validation
    convert = field.to_internal_value
    checks = [_check(validator, field) for validator in field.validators]
    is_text = isinstance(field, serializers.CharField)

    def read(value: Any) -> Any:
        if value is None or (is_text and isinstance(value, str) and not value.strip()):
            return field.run_validation(value)
        value = convert(value)
        for check in checks:
            check(value)
        return value

    return read


def _check(validator: Any, field: Any) -> Callable[[Any], Any]:
    """Return what refuses the values that a validator refuses, and does not take longer."""
    if getattr(validator, "requires_context", False):
        return lambda value: validator(value, field)
    if type(validator) is MaxLengthValidator:
        max_length = validator.limit_value
        return lambda value: validator(value) if len(value) > max_length else None
    if type(validator) is ProhibitSurrogateCharactersValidator:
        # It looks at each character in turn.
        return lambda value: None if str(value).isascii() else validator(value)
    return validator  # type: ignore[no-any-return]


class TextField(serializers.CharField):
    """A JSON string; a number is not taken for one."""

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class RawField(TextField):
    """A JSON string as it is. The parser has refused NUL and lone surrogates already."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(trim_whitespace=False, **kwargs)
        needless = (ProhibitNullCharactersValidator, ProhibitSurrogateCharactersValidator)
        self.validators = [one for one in self.validators if not isinstance(one, needless)]


class LineField(TextField):
    """A name that people read: one line without characters that cannot be seen."""

    def to_internal_value(self, data: Any) -> str:
        text = super().to_internal_value(data)
        try:
            check_line(text)
        except ValueError as error:
            raise serializers.ValidationError(f"This {error}") from None
        return text


class WholeNumberField(serializers.IntegerField):
    """A JSON number without a fraction; text is not taken for one."""

    def to_internal_value(self, data: Any) -> int:
        if not isinstance(data, int) or isinstance(data, bool):
            self.fail("invalid")
        return super().to_internal_value(data)


class FlagField(serializers.BooleanField):
    """A JSON true or false; text and numbers are not taken for one."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class TimestampField(serializers.DateTimeField):
    """A time as RFC 3339 writes it; without a zone it could be any of twenty-four."""

    def to_internal_value(self, data: Any) -> datetime:
        try:
            return timestamps.parse(data)
        except ValueError as error:
            raise serializers.ValidationError(str(error)) from None


class QueryNumber(serializers.IntegerField):
    """A query parameter of digits."""

    def to_internal_value(self, data: Any) -> int:
        """Refuse blanks, signs, fractions and digits of other scripts."""
        if not re.fullmatch("[0-9]{1,10}", str(data)):
            self.fail("invalid")
        return super().to_internal_value(data)


@extend_schema_field(OpenApiTypes.OBJECT)
class ObjectField(serializers.Field[Any, Any, Any, Any]):
    """A JSON object of at most ``max_bytes`` when written without blanks."""

    default_error_messages = {
        "invalid": "This must be a JSON object.",
        "too_large": "This has {size} bytes as JSON. Use {most} at most.",
    }

    def __init__(self, *, max_bytes: int = MAX_OBJECT_BYTES, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.max_bytes = max_bytes

    def to_internal_value(self, data: Any) -> dict[str, Any]:
        if not isinstance(data, dict):
            self.fail("invalid")
        size = object_bytes(data)
        if size > self.max_bytes:
            self.fail("too_large", size=size, most=self.max_bytes)
        return data

    def to_representation(self, value: Any) -> Any:
        return value


class BoundedListField(serializers.ListField):
    """A list whose length is checked before its items; of their errors the first are kept."""

    def run_child_validation(self, data: Any) -> list[Any]:
        if self.max_length is not None and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)
        values: list[Any] = []
        details: dict[Any, Any] = {}
        count = kept = 0
        for index, item in enumerate(data):
            try:
                values.append(self.child.run_validation(item))
            except serializers.ValidationError as error:
                errors = ErrorList()
                errors.add_details(error.detail)
                count += errors.count
                if kept < MAX_ERRORS:
                    kept += errors.count
                    details[index] = error.detail
        if details:
            raise serializers.ValidationError(details | not_named(count - kept))
        return values


class NoQuery(StrictSerializer):
    """The query of an endpoint that takes none."""


class NoBody(StrictSerializer):
    """The body of an endpoint that takes none: absent, or an object without members."""


class CursorField(serializers.CharField):
    """The cursor of a page, read as the id that it continues after.

    It stays good while rows are added: ids sort by when they were made (``database.uuid7``), so a
    page is the rows below the last id of the page before it, one range of an index however deep.
    """

    def to_internal_value(self, data: Any) -> Any:
        text = super().to_internal_value(data)
        try:
            return UUID(bytes=base64.b64decode(text + "==", altchars=b"-_", validate=True))
        except (ValueError, binascii.Error):
            raise self.not_a_cursor() from None

    @staticmethod
    def not_a_cursor() -> serializers.ValidationError:
        return serializers.ValidationError(
            "This is not a cursor. Use next_cursor of the page before."
        )

    @staticmethod
    def encode(last: UUID | str) -> str:
        return base64.urlsafe_b64encode(UUID(str(last)).bytes).decode().rstrip("=")


class PageQuery(StrictSerializer):
    """The query every list takes: newest first, continued by a cursor."""

    limit = QueryNumber(min_value=1, max_value=200, default=50, help_text="How many to return.")
    cursor = CursorField(
        source="pk__lt", required=False, help_text="`next_cursor` of the page before this one."
    )

    # How a parameter narrows the rows, where it is not the field of its name: the lookup, or a
    # function of the rows and the value.
    FILTERS: ClassVar[Mapping[str, str | Callable[[Any, Any], Any]]] = {}
    # Newest first; a cursor names a place in this order.
    ORDER: ClassVar[tuple[str, ...]] = ("-pk",)

    @staticmethod
    def cursor_after(last: Mapping[str, Any]) -> str:
        """Return the cursor of the page after the row that was answered as ``last``."""
        return CursorField.encode(last["id"])

    @classmethod
    def narrow(cls, rows: Any, query: Mapping[str, Any]) -> Any:
        for name, value in query.items():
            if name != "limit":
                how = cls.FILTERS.get(name, name)
                rows = how(rows, value) if callable(how) else rows.filter(**{how: value})
        return rows


@cache
def shared_serializer(serializer_class: type[S], partial: bool, /) -> S:
    """Return the one instance that reads all bodies; to make one copies its fields."""
    return serializer_class(partial=partial)


def validated(
    serializer_class: type[StrictSerializer], data: Any, *, partial: bool = False
) -> dict[str, Any]:
    """Return a body's validated values; raise the 400 that names what is wrong."""
    if data is None:
        raise FieldErrors([("body", "No data provided")])
    values: dict[str, Any] = shared_serializer(serializer_class, partial).run_validation(data)
    return values


def read_query(request: HttpRequest, serializer_class: type[StrictSerializer]) -> dict[str, Any]:
    """Return the query's validated values; raise the 400 that names what is wrong."""
    _refuse_other_than_utf8(request.META.get("QUERY_STRING", ""))
    values = {}
    for name, given in request.GET.lists():
        if len(given) > 1:
            raise FieldErrors([(name, "This is given more than once. Give it once.")])
        values[name] = given[0]
    return validated(serializer_class, values)


def _refuse_other_than_utf8(query: str) -> None:
    """Refuse what Django would read with replacement characters, which nothing stored equals."""
    try:
        # WSGI hands bytes over as Latin-1 (PEP 3333).
        unquote_to_bytes(query.encode("latin-1")).decode()
    except UnicodeError:
        raise FieldErrors(
            [("query", "This is not UTF-8. Write each character as its bytes in UTF-8, as %C3%BC.")]
        ) from None
