"""Parses request bodies: under ``/api/``, strict JSON in UTF-8 (RFC 8259 §8.1)."""

import io
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import IO, Any
from urllib.parse import parse_qsl

from django.conf import settings
from django.http.request import UnreadablePostError
from django.utils.http import parse_header_parameters
from rest_framework.parsers import BaseParser

from apikeys.guard.context import context_of
from apikeys.guard.problems import RETRY_AFTER_SECONDS, Problem
from database.strict_json import InvalidJSON, parse_json

UTF_8 = frozenset({"utf-8", "utf8"})
MAX_CONTENT_TYPE_LENGTH = 255


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

    @classmethod
    def takes(cls, content_type: str) -> bool:
        """Whether a body is said to be of this type, in UTF-8; a wildcard names no type."""
        media_type = content_type.partition(";")[0].strip().lower()
        return media_type == cls.media_type and is_utf_8(content_type)

    @staticmethod
    def decode(body: bytes) -> Any:
        """Return the value of a body; raise the 400 ``malformed_body``."""
        try:
            return parse_json(body)
        except InvalidJSON as error:
            raise malformed(str(error)) from error

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
            context_of(parser_context["request"]).body = body
        if len(body) > settings.MAX_BODY_BYTES:
            raise _unread(BodyError.TOO_LARGE)
        return self.decode(body)


class FormParser(StrictJSONParser):
    """Parses a form, of which each field is given once."""

    media_type = "application/x-www-form-urlencoded"

    @staticmethod
    def decode(body: bytes) -> dict[str, str]:
        try:
            pairs = parse_qsl(
                body.decode(), keep_blank_values=True, strict_parsing=True, errors="strict"
            )
        except ValueError:
            raise _malformed_form("it is not a form in UTF-8") from None
        fields = dict(pairs)
        if len(fields) < len(pairs):
            raise _malformed_form("it names a field twice")
        return fields


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


def malformed(reason: str) -> Problem:
    """Return the 400 for a body that is not acceptable JSON."""
    return Problem("malformed_body", f"The body cannot be read: {reason}. Send one JSON value.")


def _malformed_form(reason: str) -> Problem:
    return Problem("malformed_body", f"The body cannot be read: {reason}. Send it as token=value.")


def unsupported_media_type(expected: str) -> Problem:
    return Problem("unsupported_media_type", f"Send Content-Type: {expected}.")


@lru_cache(maxsize=64)
def is_utf_8(content_type: str) -> bool:
    """Whether a body, and the address with it, may be read as UTF-8 by all who read the header."""
    try:
        _, parameters = parse_header_parameters(content_type[:MAX_CONTENT_TYPE_LENGTH])
    except (ValueError, LookupError):
        # RFC 2231 lets a parameter name the encoding that it is written in.
        return False
    # Of two charsets one reader takes the first and another the last.
    is_ambiguous = content_type.lower().count("charset") > 1
    charset = parameters.get("charset", "utf-8").lower()
    return len(content_type) <= MAX_CONTENT_TYPE_LENGTH and charset in UTF_8 and not is_ambiguous
