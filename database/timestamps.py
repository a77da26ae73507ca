"""Times as callers and answers write them: RFC 3339 §5.6, with a date, a time and a zone."""

import re
from datetime import UTC, datetime

FORM = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)", re.ASCII | re.IGNORECASE
)
HINT = "Write a time with its zone, as 2027-01-31T00:00:00Z."


def parse(text: object) -> datetime:
    """Return the datetime in UTC; raise ``ValueError`` for any other form."""
    if not isinstance(text, str) or not FORM.fullmatch(text):
        raise ValueError(HINT)
    try:
        return datetime.fromisoformat(text.upper()).astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(HINT) from None


def text(timestamp: datetime) -> str:
    """Return a datetime in UTC as it is answered, ending in Z."""
    return timestamp.isoformat().replace("+00:00", "Z")
