"""What ``Content-Type`` may say of a request: UTF-8, and under ``/api/`` JSON (RFC 8259 §8.1)."""

from functools import lru_cache

from django.utils.http import parse_header_parameters

UTF_8 = frozenset({"utf-8", "utf8"})
MAX_LENGTH = 255


@lru_cache(maxsize=64)
def is_utf_8(content_type: str) -> bool:
    """Whether a body, and the address with it, may be read as UTF-8 by all who read the header."""
    try:
        _, parameters = parse_header_parameters(content_type[:MAX_LENGTH])
    except (ValueError, LookupError):
        # RFC 2231 lets a parameter name the encoding that it is written in.
        return False
    # Of two charsets one reader takes the first and another the last.
    is_ambiguous = content_type.lower().count("charset") > 1
    charset = parameters.get("charset", "utf-8").lower()
    return len(content_type) <= MAX_LENGTH and charset in UTF_8 and not is_ambiguous


def is_json(content_type: str) -> bool:
    """Whether a body is said to be JSON in UTF-8; a wildcard names no media type."""
    media_type = content_type.partition(";")[0].strip().lower()
    return media_type == "application/json" and is_utf_8(content_type)
