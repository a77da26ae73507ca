"""Masks secrets before a record is truncated or written.

A Latchkey credential is masked wherever it stands, and any value whose name marks it as secret:
in JSON at any depth, forms, query strings, headers and other text.
"""

import json
import re
import sys
from functools import lru_cache
from typing import Any, NoReturn
from urllib.parse import quote, unquote_plus

from apikeys.credentials import MASK, mask
from apikeys.environments import TAGS
from logs.capture.encodings import (
    BASE64_HINTS,
    ESCAPE_HINTS,
    MIN_LENGTH,
    has_base64,
    has_escapes,
    mask_base64,
    unescaped,
)
from logs.capture.secret_names import ELEMENT, PAIR, TEXT_HINTS, is_secret

# In lower case: text that holds something to mask contains at least one of these.
HINTS = (
    "key", "secret", "token", "pass", "pwd", "authori", "credential", "cookie", "bearer",
    "session", "connection", "licen", "serial", "handover", *(f"_{tag}_" for tag in TAGS),
    '"auth', '"jwt', '"otp', '"pin"', '"sid"', '"private"', '"sig', *ESCAPE_HINTS, *BASE64_HINTS,
)  # fmt: skip
_PART_NAME = re.compile(r"\bname\*?\s*=\s*(?:[\w\-]*'[^']*')?\"?([^\";\r\n]*)", re.IGNORECASE)
_BOUNDARY = re.compile(r"boundary=\"?([^\";\s]+)", re.IGNORECASE)
_FIRST_LINE = re.compile(r"\s*--(\S+)")
# A license key by its form, whatever it is called; ``customers.licenses.license_keys`` says which.
_GROUP = "[0-9A-HJKMNP-TV-Z]{5}"
_LICENSE_KEY = re.compile(rf"\b({_GROUP})(?:-{_GROUP}){{3}}-({_GROUP})\b")
# The key id may stay: it tells which key it was.
_CREDENTIAL_ALONE = re.compile(rf"(?i:bearer +)?\w+{re.escape(MASK)}")
_ASCII_ESCAPE = re.compile(r"\\u00([2-7][0-9a-fA-F])")
MAX_KNOWN = 256
# More than the longest hint: a secret that is cut short at the limit has one before its value.
MARGIN = 256
# A nested ``name=value`` needs at least this many characters.
MIN_NESTED = 4
_SEPARATOR = re.compile("([&;])")
_BOMS = {
    b"\xff\xfe\0\0": "utf-32", b"\0\0\xfe\xff": "utf-32", b"\xff\xfe": "utf-16",
    b"\xfe\xff": "utf-16",
}  # fmt: skip
# Which bytes of four are NUL.
_NULS: dict[tuple[bool, ...], str] = {
    (False, True, False, True): "utf-16-le", (True, False, True, False): "utf-16-be",
    (False, True, True, True): "utf-32-le", (True, True, True, False): "utf-32-be",
}  # fmt: skip
# Unescaped only within bodies; elsewhere no character may end a line or reorder one.
_CONTROLS = [*range(32), *range(127, 160), 0x2028, 0x2029, 0xFEFF]
_CONTROLS += [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_VISIBLE = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in _CONTROLS}
_VISIBLE_IN_BODY = {c: shown for c, shown in _VISIBLE.items() if c not in (9, 10, 13)}


def line(text: str) -> str:
    """Return ``text`` on one line, nothing invisible in it, credentials masked."""
    if not text.isprintable():
        text = text.translate(_VISIBLE).encode("utf-8", "backslashreplace").decode()
    return _mask_anywhere(text)


def header(name: str, value: str) -> str:
    """Return a header's value as it may be kept."""
    # Long values are not cached: anyone can send many of them.
    return _header_once(name, value) if len(value) <= MAX_KNOWN else _header(name, value)


@lru_cache(maxsize=4096)
def _header_once(name: str, value: str) -> str:
    return _header(name, value)


def _header(name: str, value: str) -> str:
    if is_secret(name):
        masked = mask(value)
        return masked if _CREDENTIAL_ALONE.fullmatch(masked) else MASK
    text = line(value)
    address, mark, parameters = text.partition("?")
    if mark and "=" in parameters:
        text = f"{address}?{query(parameters)}"
    redacted = _text(text)
    return redacted if redacted.isprintable() else redacted.translate(_VISIBLE)


def query(text: str) -> str:
    """Return a query string, or a form sent as one, as it may be kept."""
    if not text:
        return text
    parts = []
    for pair in _SEPARATOR.split(text):
        name, equals, value = pair.partition("=")
        if value and is_secret(unquote_plus(unescaped(name))):
            value = MASK
        elif value and len(value) > MIN_NESTED:
            plain = unquote_plus(unescaped(value))
            nested = _string(plain)
            if nested != plain:
                value = quote(nested, safe=MASK)
        parts.append(f"{name}{equals}{value}")
    return line("".join(parts))


def body(content: bytes, media_type: str = "", max_length: int = sys.maxsize) -> str:
    """Return a body as it may be kept, binary content in a form that any database holds.

    No more than ``max_length`` characters are going to be kept, so what comes after them is not
    searched; of a longer body one more character is returned, or all of it.
    """
    text = _decoded(content, media_type)
    low = text[: max_length + MARGIN].lower()
    # One search after the other: a tenth of what a regular expression takes.
    for hint in HINTS:
        if hint in low:
            return _visible(_redacted(text, media_type))
    # Escapes that no hint shows begin with these, and lines of base64 end so.
    is_marked = "\\" in low or "=" in low or "\n" in low
    # A form of its own has names that need no quotes.
    is_form = media_type and "json" not in media_type
    if is_form or (is_marked and (has_escapes(low) or has_base64(low))):
        return _visible(_redacted(text, media_type))
    return _visible(text[: max_length + 1])


def _decoded(content: bytes, media_type: str) -> str:
    is_whole = "multipart/" not in media_type.lower()
    if is_whole and b"\0" in content and (encoding := _wide_encoding(content)):
        # Read as UTF-8, a secret would stand there with a NUL after each letter.
        return content.decode(encoding, "replace")
    return content.decode("utf-8", "backslashreplace")


def _wide_encoding(content: bytes) -> str:
    """Return the name of UTF-16 or UTF-32, if that is what the NULs look like; else blank."""
    for bom, encoding in _BOMS.items():
        if content.startswith(bom):
            return encoding
    quarter = max(1, len(content) // 4)
    nuls = [content[place::4].count(0) > quarter * 0.7 for place in range(4)]
    return _NULS.get(tuple(nuls), "")


def _visible(text: str) -> str:
    return text if text.isprintable() else text.translate(_VISIBLE_IN_BODY)


def _redacted(text: str, media_type: str) -> str:
    kind = media_type.lower()
    if "form-urlencoded" in kind:
        return query(text)
    boundary = _BOUNDARY.search(media_type) or _FIRST_LINE.match(text)
    if "multipart/" in kind and boundary:
        # A part may be in UTF-16 or UTF-32: without NULs its letters stand side by side.
        narrow = text.replace("\0", "")
        kept = _multipart(narrow, boundary[1])
        return text if kept == narrow else kept
    try:
        value = json.loads(text, object_pairs_hook=_members, parse_constant=_refuse)
        if not isinstance(value, dict | list | str):
            return _text(text)
        kept = json.dumps(_walked(value), ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return _text(text)
    # A lone surrogate is an escape again: no database holds it.
    return kept.encode("utf-8", "backslashreplace").decode()


def _multipart(text: str, boundary: str) -> str:
    """Mask whole parts by their names, and within the others (RFC 7578)."""
    parts = text.split(f"--{boundary}")
    for number, part in enumerate(parts):
        head, gap, content = _split_part(part)
        names = [unescaped(name) for name in _PART_NAME.findall(head)]
        kept = MASK if any(map(is_secret, names)) else _string(content)
        parts[number] = f"{head}{gap}{kept if content.strip() else content}"
    return _mask_anywhere(f"--{boundary}".join(parts))


def _split_part(part: str) -> tuple[str, str, str]:
    for gap in ("\r\n\r\n", "\n\n"):
        head, found, content = part.partition(gap)
        if found:
            return head, found, content
    return part, "", ""


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) < len(pairs):
        raise ValueError("a name is given twice, and one of the values would be lost")
    return members


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _walked(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            # Yes, no and nothing are no secrets, whatever they are called.
            _mask_anywhere(name): MASK
            if is_secret(name) and inner is not None and not isinstance(inner, bool)
            else _walked(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_walked(inner) for inner in value]
    return _string(value) if isinstance(value, str) else value


def _string(text: str) -> str:
    """Mask within a text that may be JSON, or hold names with values."""
    if text[:1] in ("{", "["):
        try:
            value = json.loads(text, object_pairs_hook=_members, parse_constant=_refuse)
            kept = _walked(value)
        except (ValueError, RecursionError):
            return _text(text)
        if kept != value:
            return json.dumps(kept, ensure_ascii=False, separators=(",", ":"))
        return _mask_anywhere(text)
    return _text(text)


def _text(text: str) -> str:
    """Mask by name in text that has no form to go by."""
    if "\\u00" in text:
        text = _ASCII_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    low = text.lower()
    if any(hint in low for hint in TEXT_HINTS):
        if ":" in text or "=" in text:
            text = PAIR.sub(rf"\1{MASK}", text)
        if "<" in text:
            text = ELEMENT.sub(rf"\1{MASK}", text)
    return _mask_anywhere(text)


def _mask_anywhere(text: str) -> str:
    """Mask credentials and license keys, however they are written."""
    if len(text) < MIN_LENGTH:
        return text
    text = _mask_forms(text)
    plain = unescaped(text)
    if plain != text:
        masked = _mask_forms(plain)
        if masked != plain:
            return masked if masked.isprintable() else masked.translate(_VISIBLE)
    return text


def _mask_forms(text: str) -> str:
    text = mask(text)
    if text.count("-") >= 4:
        text = _LICENSE_KEY.sub(r"\1-*****-*****-*****-\2", text)
    return mask_base64(text)
