"""Parses request bodies: under ``/api/``, strict JSON in UTF-8 (RFC 8259 §8.1)."""

import io
from collections.abc import Mapping
from enum import Enum
from functools import lru_cache
from typing import IO, Any

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
        try:
            return parse_json(body)
        except InvalidJSON as error:
            raise malformed(str(error)) from error


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


def is_json(content_type: str) -> bool:
    """Whether a body is said to be JSON in UTF-8; a wildcard names no media type."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" and is_utf_8(content_type)
