"""Reads the one credential of a request, as Latchkey does (RFC 6750 §2.1)."""

import re
from collections.abc import Sequence

BEARER = re.compile(r"bearer +(\S+)", re.IGNORECASE)
MAX_LENGTH = 8_192
# W3C Trace Context §3.2, with what a later version may add. Latchkey reads it to the letter.
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]{0,200})?")
# Stands for a credential that no key has, so that it is judged, counted and logged as one.
MALFORMED = "malformed"


class SeveralCredentials(ValueError):
    """A request has more than one credential."""


def read(authorization: Sequence[str], api_key: Sequence[str]) -> str:
    """Return the credential in the values of both headers; blank if there is none."""
    if len(authorization) + len(api_key) > 1 or any("," in value for value in api_key):
        raise SeveralCredentials
    if api_key:
        return _usable(api_key[0].strip())
    value = authorization[0].strip() if authorization else ""
    if value[:6].lower() != "bearer" or len(value) == 6:
        return ""
    if "," in value:
        raise SeveralCredentials
    match = BEARER.fullmatch(value)
    return _usable(match[1]) if match else MALFORMED


def trace_headers(traceparent: str) -> dict[str, str]:
    """Return the header that makes a question part of its request's trace, if there is one."""
    return {"traceparent": traceparent} if TRACEPARENT.fullmatch(traceparent) else {}


def _usable(credential: str) -> str:
    return credential if len(credential) <= MAX_LENGTH and credential.isascii() else MALFORMED
