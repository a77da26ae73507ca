"""What must not be kept is replaced here, before a record is cut or written.

Two rules: a credential of ours is masked wherever it stands, and a value is masked whose name
says that it is secret. Both hold in JSON at any depth, in forms, in queries, in headers and in
text that is none of these. A request that holds nothing of the kind costs a few searches.
"""

import json
import re
from functools import lru_cache
from typing import Any, NoReturn
from urllib.parse import unquote, unquote_plus

from apikeys.credentials import MASK, mask

SECRET_NAME = re.compile(
    "passw|passphrase|secret|token|authori[sz]ation|credential|cookie|bearer|sessionid"
    "|(?:api|license|private|access|signing|encryption|auth)key"
)
# A value after a name that says it is secret, in text that cannot be parsed.
_NAMES = (
    r"(?:passw|passphrase|secret|token|authori[sz]ation|credential|cookie|bearer|session[-_ ]?id"
    r"|(?:api|license|private|access|signing|encryption|auth)[-_ ]?key)"
)
_PAIR = re.compile(
    rf"({_NAMES}[\w\-.\[\]]{{0,64}}\\?[\"']?\s{{0,8}}[:=]\s{{0,8}})"
    r"([\[{][\s\S]*|\"(?:[^\"\\]|\\.)*\"?|'[^']*'?|(?:(?:bearer|basic|digest)\s+)?[^\s,;&}\]]+)",
    re.IGNORECASE,
)
_PART = re.compile(
    rf"(name=\"?[^\"\r\n]{{0,64}}{_NAMES}[^\r\n]{{0,200}}(?:\r?\n[^\r\n]+){{0,4}}\r?\n\r?\n)"
    r"[\s\S]*?(?=\r?\n--|\Z)",
    re.IGNORECASE,
)
# The key id may stay, to say which key it was.
_CREDENTIAL_ALONE = re.compile(rf"(?i:bearer +)?\w+{re.escape(MASK)}")
_ASCII_ESCAPE = re.compile(r"\\u00([2-7][0-9a-fA-F])")
LONGEST_KNOWN = 256
_NOT_WORD = re.compile(r"[^0-9a-z]")

# Kept as they are only within bodies; nowhere may a character end a line or reorder one.
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
    # What a stranger can make long must not fill the memory.
    return _header_once(name, value) if len(value) <= LONGEST_KNOWN else _header(name, value)


@lru_cache(maxsize=4096)
def _header_once(name: str, value: str) -> str:
    return _header(name, value)


def _header(name: str, value: str) -> str:
    if is_secret(name):
        masked = mask(value)
        return masked if _CREDENTIAL_ALONE.fullmatch(masked) else MASK
    return _text(line(value))


@lru_cache(maxsize=1024)
def is_secret(name: str) -> bool:
    """Whether a name says that its value is secret: ``api_key``, ``X-API-Key``, ``apiKey``."""
    return SECRET_NAME.search(_NOT_WORD.sub("", name.lower())) is not None


def query(text: str) -> str:
    """Return a query string, or a form sent as one, as it may be kept."""
    if not text:
        return text
    kept = []
    for pair in text.split("&"):
        name, equals, value = pair.partition("=")
        if value and is_secret(unquote_plus(_unquoted(name))):
            value = MASK
        kept.append(f"{name}{equals}{value}")
    return line("&".join(kept))


def body(content: bytes, media_type: str = "") -> str:
    """Return a body as it may be kept, binary content in a form that any database holds."""
    low = content.lower()
    # One search after the other: a tenth of what a regular expression takes.
    if (
        b"key" in low
        or b"secret" in low
        or b"token" in low
        or b"passw" in low
        or b"passphrase" in low
        or b"authori" in low
        or b"credential" in low
        or b"cookie" in low
        or b"bearer" in low
        or b"session" in low
        or b"_prod_" in low
        or b"_stag_" in low
        or b"_dev_" in low
        or b"\\u" in low
        or b"%" in low
    ):
        return _visible(_redacted(_decoded(content), media_type))
    return _visible(_decoded(content))


def _decoded(content: bytes) -> str:
    return content.decode("utf-8", "backslashreplace")


def _visible(text: str) -> str:
    return text if text.isprintable() else text.translate(_VISIBLE_IN_BODY)


def _redacted(text: str, media_type: str) -> str:
    if "form-urlencoded" in media_type and "\n" not in text:
        return query(text)
    try:
        value = json.loads(text, object_pairs_hook=_members, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return _text(_mask_anywhere(text))
    if not isinstance(value, dict | list | str):
        return _text(_mask_anywhere(text))
    try:
        kept = json.dumps(_walked(value), ensure_ascii=False, separators=(",", ":"))
    except RecursionError:
        return _text(_mask_anywhere(text))
    # A lone surrogate is an escape again: no database holds it.
    return kept.encode("utf-8", "backslashreplace").decode()


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
            _mask_anywhere(name): MASK if is_secret(name) and inner is not None else _walked(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list):
        return [_walked(inner) for inner in value]
    return _mask_anywhere(value) if isinstance(value, str) else value


def _text(text: str) -> str:
    """Mask by name in text that has no form to go by."""
    if "\\u00" in text:
        text = _ASCII_ESCAPE.sub(lambda found: chr(int(found[1], 16)), text)
    return _mask_anywhere(_PART.sub(rf"\1{MASK}", _PAIR.sub(rf"\1{MASK}", text)))


def _mask_anywhere(text: str) -> str:
    """Mask credentials, also those written as an address writes them."""
    text = mask(text)
    if "%" in text:
        plain = _unquoted(text)
        masked = mask(plain)
        if masked != plain:
            return masked if masked.isprintable() else masked.translate(_VISIBLE)
    return text


def _unquoted(text: str) -> str:
    for _ in range(3):
        plain = unquote(text)
        if plain == text:
            break
        text = plain
    return text
