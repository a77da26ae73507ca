"""Paths of requests, and the patterns of rules that they are compared with.

A path is divided and decoded once, and only if every parser must read it alike: a proxy, Latchkey
and the application behind it each have a parser of their own. What may be read in two ways
matches no pattern, whatever the rules say. Of the rest, decoding changes letters and never the
segments, so that ``/%61dmin`` is ``/admin``. A slash at the end makes no difference. Upper and
lower case do.
"""

import re
import unicodedata
from dataclasses import dataclass
from urllib.parse import quote, unquote

from database.text import check_line

MAX_PATTERN_LENGTH = 500
# Of a path and its query, as they were sent.
MAX_URI_LENGTH = 8_000
# Most paths are of these characters alone, without a dot segment: nothing in them is decoded.
_PLAIN = re.compile(r"(?:/(?!\.\.?(?:/|\Z))[A-Za-z0-9._~!$&'()*+,=:@-]+)*/?")
# As it was sent: anything but an absolute path of printable ASCII; an empty or a dot segment; an
# encoded dot or slash; a percent sign that encodes nothing.
_AMBIGUOUS = re.compile(
    r"\A(?!/)|[^!-~]|//|/\.\.?(?=/|\Z)|%2[EFef]|%(?![0-9A-Fa-f]{2})",
)
# Once it is decoded: what some parsers cut off or split at, and what could be decoded again.
_AMBIGUOUS_DECODED = re.compile(r"[\x00-\x1f\x7f-\x9f\\;#?]|%[0-9A-Fa-f]{2}|/\.\.?(?=/|\Z)")
_PLACEHOLDER = re.compile(r"\*|\{[^{}]+\}")


@dataclass(frozen=True, slots=True)
class Pattern:
    """Segments in their order, None for any one; ``takes_rest`` for any more, or none."""

    segments: tuple[str | None, ...]
    takes_rest: bool


def split_path(path: str | bytes) -> tuple[str, ...] | None:
    """Return the decoded segments of a raw path without its query; None if it is ambiguous."""
    if isinstance(path, bytes):
        path = path.decode("latin-1")
    if path and _PLAIN.fullmatch(path):
        return _segments(path)
    if _AMBIGUOUS.search(path):
        return None
    try:
        decoded = unquote(path, errors="strict")
    except UnicodeDecodeError:
        return None
    # Some parsers take U+FF0F for a slash, and U+2025 for two dots.
    folded = unicodedata.normalize("NFKC", decoded)
    if folded.count("/") != path.count("/"):
        return None
    if _AMBIGUOUS_DECODED.search(decoded) or _AMBIGUOUS_DECODED.search(folded):
        return None
    return _segments(decoded)


def parse_pattern(text: str) -> Pattern:
    """Read a pattern; raise ``ValueError`` with two sentences for people."""
    if not text.startswith("/"):
        raise ValueError(f"The path {text!r} does not begin with a slash. Write it as /v1/orders.")
    if text.split() != [text]:
        raise ValueError(f"The path {text!r} has a blank. Write it as %20, as clients send it.")
    try:
        check_line(text)
    except ValueError as error:
        raise ValueError(f"The path {text!r} {error}") from None
    if len(text) > MAX_PATTERN_LENGTH:
        raise ValueError(f"The path has {len(text)} characters. Use {MAX_PATTERN_LENGTH} at most.")
    *parts, last = text[1:].split("/")
    takes_rest = last == "**"
    if not takes_rest and last:
        parts.append(last)
    return Pattern(tuple(_pattern_segment(text, part) for part in parts), takes_rest)


def matches(pattern: Pattern, segments: tuple[str, ...]) -> bool:
    """Whether the segments of a path (``split_path``) fit."""
    wanted = len(pattern.segments)
    if len(segments) != wanted and not (pattern.takes_rest and len(segments) > wanted):
        return False
    return all(
        own is None or own == segment
        for own, segment in zip(pattern.segments, segments, strict=False)
    )


def _segments(path: str) -> tuple[str, ...]:
    inner = path.strip("/")
    return tuple(inner.split("/")) if inner else ()


def _pattern_segment(text: str, part: str) -> str | None:
    if _PLACEHOLDER.fullmatch(part):
        return None
    if re.search(r"[*{}]", part):
        raise ValueError(
            f"The path {text!r} has {part!r}. Write * or {{name}} for a whole segment, and ** only"
            " as the last one."
        )
    # As a client would send it: a pattern may hold letters of any script.
    segments = split_path("/" + quote(part, safe="%!$&'()+,=:@~\\;#?"))
    if not segments:
        raise ValueError(
            f"The path {text!r} has {part!r}, which may be read in two ways: no request matches it."
            " Leave out dot segments, empty segments, \\, ;, # and ?, encoded or not."
        )
    return segments[0]
