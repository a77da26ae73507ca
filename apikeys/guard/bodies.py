"""Request bodies: JSON, and nothing that two parsers or two databases could read differently.

RFC 8259 leaves open what repeated names, lone surrogates and huge numbers mean; here each is
an error. The same text is accepted or refused on SQLite and on PostgreSQL.
"""

import io
import json
import re
from collections import Counter
from collections.abc import Mapping
from enum import Enum
from math import isfinite
from typing import IO, Any, NoReturn

from django.conf import settings
from django.http.request import UnreadablePostError
from rest_framework.parsers import BaseParser

from apikeys.guard.problems import RETRY_AFTER_SECONDS, Problem
from apikeys.guard.trace import trace_of

DEEPEST = 64
# No double is longer, and most readers take every number for one (RFC 8259 §6).
MOST_DIGITS = 310
_STRINGS_AND_BRACKETS = re.compile(rb'"(?:[^"\\]|\\.)*"?|[\[\]{}]', re.DOTALL)


class BodyError(Enum):
    """Why the server did not read a body to its end."""

    INCOMPLETE = "the connection ended first"
    TIMED_OUT = "it took too long to arrive"
    TOO_LARGE = "it is longer than the limit"
    NOT_STORED = "the disk is full"
    UNKNOWN_CODING = "its transfer coding is not understood"


class UnreadBody(io.RawIOBase):
    """Stands in a request for a body that the server did not read; reading it fails."""

    def __init__(self, error: BodyError) -> None:
        super().__init__()
        self.error = error

    def read(self, size: int | None = -1, /) -> bytes:
        """Raise ``OSError`` with the ``BodyError``; Django makes it ``UnreadablePostError``."""
        raise OSError(self.error)


class StrictJSONParser(BaseParser):
    """Parses a body of at most ``MAX_BODY_BYTES``."""

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        """Return the value; raise 400 ``malformed_body``, 413 or 415 (RFC 9110 §12.5.3)."""
        if parser_context is not None:
            coding = parser_context["request"].META.get("HTTP_CONTENT_ENCODING") or "identity"
            if coding.strip().lower() != "identity":
                raise Problem(
                    "unsupported_media_type",
                    "The body has a content coding. Send it plain, without Content-Encoding.",
                    headers={"Accept-Encoding": "identity"},
                )
        try:
            body = stream.read(settings.MAX_BODY_BYTES + 1)
        except UnreadablePostError as error:
            raise _unread(error.args[0]) from error
        if parser_context is not None:
            trace_of(parser_context["request"]).body = body
        if len(body) > settings.MAX_BODY_BYTES:
            raise _unread(BodyError.TOO_LARGE)
        return parse_json(body)


def _unread(error: BodyError) -> Problem:
    """Return the problem for a body that was not read to its end."""
    match error:
        case BodyError.TOO_LARGE:
            return Problem(
                "body_too_large",
                f"The body may have {settings.MAX_BODY_BYTES:,} bytes. Send less at a time.",
            )
        case BodyError.TIMED_OUT:
            return Problem(
                "body_timeout",
                f"The body did not arrive within {settings.BODY_TIMEOUT_SECONDS} seconds."
                " Send it again, faster or in smaller parts.",
            )
        case BodyError.NOT_STORED:
            return Problem(
                "unavailable",
                "There is no room for a body of this length now. Send it again in a few seconds.",
                headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
            )
        case BodyError.UNKNOWN_CODING:
            return Problem(
                "unsupported_media_type",
                "The body has a transfer coding. Send it plain, whole or in chunks.",
            )
        case _:
            return malformed("it ended before its announced end")


def parse_json(body: bytes) -> Any:
    """Return the value of a JSON text; raise the 400 that says why it is none."""
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
        raise malformed("it is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        raise malformed(_place(error)) from None
    # Only an escape can bring in what plain UTF-8 text cannot hold.
    if b"\\u" in body:
        _refuse_odd_characters(value)
    return value


def malformed(reason: str) -> Problem:
    """Return the 400 for a body that is not acceptable JSON."""
    return Problem("malformed_body", f"The body cannot be read: {reason}. Send one JSON value.")


def _place(error: Exception) -> str:
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg[0].lower()}{error.msg[1:]} at line {error.lineno} column {error.colno}"
    return "it is not JSON"


def _refuse_deep(body: bytes) -> None:
    """Refuse nesting before it is parsed: the parser recurses."""
    if body.count(b"[") + body.count(b"{") <= DEEPEST:
        return
    depth = 0
    for match in _STRINGS_AND_BRACKETS.finditer(body):
        bracket = match[0]
        if bracket in b"[{":
            depth += 1
            if depth > DEEPEST:
                raise malformed(f"it is nested more than {DEEPEST} deep")
        elif bracket in b"]}":
            depth -= 1


def _refuse_odd_characters(value: Any) -> None:
    """Refuse NUL and lone surrogates, in names and values at any depth."""
    if isinstance(value, str):
        if "\0" in value:
            raise malformed("it holds a NUL character")
        if any("\ud800" <= character <= "\udfff" for character in value):
            raise malformed("it holds half of a surrogate pair")
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
        raise malformed(f"it names {json.dumps(twice[:50])} twice in one object")
    return value


def _constant(name: str) -> NoReturn:
    raise malformed(f"{name} is not JSON")


def _float(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise malformed(f"the number {text[:20]} is too large")
    return number


def _int(text: str) -> int:
    if len(text) > MOST_DIGITS or not isfinite(float(text)):
        raise malformed(f"the number {text[:20]} is too large")
    return int(text)
