"""The trace that a request is part of, as its ``traceparent`` says (W3C Trace Context §3.2).

What does not follow the standard to the letter is as if it were not there: a record must not lead
to the traces of somebody else.
"""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

HEADER = "HTTP_TRACEPARENT"
# Version 00 has four fields and nothing more; a later one may add fields. 255 is none.
_FORM = re.compile("(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-[!-~]*)?")
# What a later version adds is not read, and is not passed on without end.
MAX_LENGTH = 255
SAMPLED = 1


class Traceparent(NamedTuple):
    """A field that can be believed: the whole of it, the trace, and whoever called in it."""

    text: str
    trace: str
    parent: str
    is_sampled: bool


def parse(text: str) -> Traceparent | None:
    """Return what a field says; None for one that is not valid, or was sent twice."""
    match = _FORM.fullmatch(text) if len(text) <= MAX_LENGTH else None
    if match is None:
        return None
    version, trace, parent, flags, more = match.groups()
    if (version == "00" and more) or not trace.strip("0") or not parent.strip("0"):
        return None
    return Traceparent(text, trace, parent, bool(int(flags, 16) & SAMPLED))


def of_request(meta: Mapping[str, Any]) -> Traceparent | None:
    text = meta.get(HEADER)
    return None if text is None else parse(text)
