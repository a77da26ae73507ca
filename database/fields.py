"""Model fields for a few words and for a caller's JSON object, alike on both databases.

And names found by how they begin, with an index: SQLite finds no beginning by LIKE, which ignores
case there, and PostgreSQL none where the index is in the order of a language.
"""

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError
from django.db import models

if TYPE_CHECKING:
    _WordsText = models.TextField[tuple[str, ...], tuple[str, ...]]
    _ObjectText = models.TextField[dict[str, Any], dict[str, Any]]
    _Lookup = models.Lookup[Any]
else:
    _Lookup = models.Lookup
    _WordsText = _ObjectText = models.TextField


MAX_OBJECT_BYTES = 8192
# Writes an object as it is stored and answered. Made once: ``json.dumps`` would make an encoder
# each time.
object_text = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode


@lru_cache(maxsize=4096)
def words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


class WordsField(_WordsText):
    """A tuple of words, stored as they are with one space between (as RFC 6749 §3.3 does).

    One column, so that authentication reads it with the key's row and without a join; plain
    text, so that both databases keep and search it alike.
    """

    description = "Words separated by spaces"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("blank", True)
        kwargs.setdefault("default", ())
        super().__init__(*args, **kwargs)

    def from_db_value(self, value: str | None, *_: object) -> tuple[str, ...]:
        return words(value) if value else ()

    def to_python(self, value: Any) -> tuple[str, ...]:
        return tuple(value.split()) if isinstance(value, str) else tuple(value or ())

    def get_prep_value(self, value: Any) -> str:
        """Join the words; text is taken as a part to look for."""
        return value if isinstance(value, str) else " ".join(value or ())

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(self.value_from_object(obj))


class JSONObjectField(_ObjectText):
    """A JSON object given by a caller, kept as the text it was parsed from.

    PostgreSQL's ``jsonb`` reorders members and rewrites numbers (``1e2`` comes back as
    ``100``); text comes back the same from both databases.
    """

    description = "A JSON object"
    empty_values = [None, ""]
    default_error_messages = {"no_object": "Write a JSON object, such as {}."}

    def formfield(self, **kwargs: Any) -> Any:
        return models.Field.formfield(self, **{"form_class": forms.JSONField, **kwargs})

    def validate(self, value: Any, model_instance: Any) -> None:
        super().validate(value, model_instance)
        if not isinstance(value, dict):
            raise ValidationError(self.error_messages["no_object"], code="no_object")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("blank", True)
        kwargs.setdefault("default", dict)
        super().__init__(*args, **kwargs)

    def from_db_value(self, value: str | None, *_: object) -> Any:
        return json.loads(value) if value else {}

    def to_python(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise ValidationError(self.error_messages["no_object"], code="no_object") from None

    def get_prep_value(self, value: Any) -> str:
        return object_text(value or {})

    def value_to_string(self, obj: models.Model) -> str:
        return self.get_prep_value(self.value_from_object(obj))


def object_bytes(value: dict[str, Any]) -> int:
    """Return how many bytes a JSON object takes as it is stored, in UTF-8 and without blanks."""
    return len(object_text(value).encode())


class CaselessName(models.Func):
    """The lower case of a name, in the order of its bytes; what an index is made of."""

    function = "LOWER"
    arity = 1
    output_field = models.CharField()

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        template = '(%(function)s(%(expressions)s) COLLATE "C")'
        return self.as_sql(compiler, connection, template=template, **extra)


@models.CharField.register_lookup
class BeginsWith(_Lookup):
    """``begins_with``, where case counts; the database lowers what ``CaselessName`` begins with."""

    lookup_name = "begins_with"

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        """Return a range of texts, for SQLite."""
        left, params = self.process_lhs(compiler, connection)
        # No text has a character after the last of Unicode.
        values = [*params, self.rhs, *params, f"{self.rhs}{chr(0x10FFFF)}"]
        return f"({left} >= {self._given} AND {left} < {self._given})", values

    def as_postgresql(self, compiler: Any, connection: Any) -> Any:
        """Return LIKE, which uses the index that Django makes for a text that is unique."""
        left, params = self.process_lhs(compiler, connection)
        pattern = connection.ops.prep_for_like_query(self.rhs)
        return f"{left} LIKE {self._given}", [*params, f"{pattern}%"]

    @property
    def _given(self) -> str:
        return "LOWER(%s)" if isinstance(self.lhs, CaselessName) else "%s"
