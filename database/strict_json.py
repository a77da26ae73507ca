"""JSON that no two parsers and no two databases read differently.

RFC 8259 leaves open what repeated names, lone surrogates and huge numbers mean; here each is
an error. The same text is accepted or refused on SQLite and on PostgreSQL.
"""

import json
import re
from collections import Counter
from itertools import accumulate
from math import isfinite
from typing import Any, NoReturn

MAX_DEPTH = 64
# No double is longer, and most readers take every number for one (RFC 8259 §6).
MAX_DIGITS = 310
_STRINGS = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
# An opening bracket is 1, a closing one 255, which is -1 of a signed byte.
_STEPS = bytes.maketrans(b"[{]}", b"\1\1\xff\xff")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[{]}"))


class InvalidJSON(Exception):
    """A text that is not JSON, or not strict; the message is a clause that says why."""


def parse_json(body: bytes) -> Any:
    """Return the value of a JSON text; raise ``InvalidJSON``."""
    _refuse_deep(body)
    try:
        value = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_float=_float,
            parse_int=_int,
        )
    except UnicodeDecodeError:
        raise InvalidJSON("it is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise InvalidJSON(_place(error)) from None
    # Only an escape can bring in what plain UTF-8 text cannot hold.
    if b"\\u" in body:
        _refuse_odd_characters(value)
    return value


def _place(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg[0].lower()}{error.msg[1:]} at line {error.lineno} column {error.colno}"
    return "it is not JSON"


def _refuse_deep(body: bytes) -> None:
    """Refuse nesting before it is parsed: the parser recurses."""
    if body.count(b"[") + body.count(b"{") <= MAX_DEPTH:
        return
    steps = _STRINGS.sub(b"", body).translate(_STEPS, _NO_BRACKETS)
    if max(accumulate(memoryview(steps).cast("b")), default=0) > MAX_DEPTH:
        raise InvalidJSON(f"it is nested more than {MAX_DEPTH} deep")


def _refuse_odd_characters(value: Any) -> None:
    """Refuse NUL and lone surrogates, in names and values at any depth."""
    if isinstance(value, str):
        if "\0" in value:
            raise InvalidJSON("it holds a NUL character")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise InvalidJSON("it holds half of a surrogate pair")
    elif isinstance(value, dict):
        for name, inner in value.items():
            _refuse_odd_characters(name)
            _refuse_odd_characters(inner)
    elif isinstance(value, list):
        for inner in value:
            _refuse_odd_characters(inner)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        twice = Counter(name for name, _ in pairs).most_common(1)[0][0]
        raise InvalidJSON(f"it names {json.dumps(twice[:50])} twice in one object")
    return value


def _constant(name: str) -> NoReturn:
    raise InvalidJSON(f"{name} is not JSON")


def _float(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise InvalidJSON(f"the number {text[:20]} is too large")
    return number


def _int(text: str) -> int:
    if len(text) > MAX_DIGITS or not isfinite(float(text)):
        raise InvalidJSON(f"the number {text[:20]} is too large")
    return int(text)
