"""Times and durations as they are written.

Callers and answers write RFC 3339 §5.6, with a date, a time and a zone; people also ``90d``.
"""

import re
from datetime import UTC, datetime, timedelta

from django.utils import timezone

from database.refusals import Refused

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
DURATION = re.compile(r"(\d{1,6})([smhd])", re.ASCII)

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


def duration(text: str) -> timedelta:
    """Read ``90d``, ``12h``, ``30m`` or ``45s``."""
    match = DURATION.fullmatch(text)
    if match is None:
        raise Refused(f"{text!r} is not a duration. Write it as 90d, 12h, 30m or 45s.")
    return timedelta(**{UNITS[match[2]]: int(match[1])})


def expiry(text: str) -> datetime | None:
    """Read an RFC 3339 time, a duration from now, or ``never``."""
    if text == "never":
        return None
    if DURATION.fullmatch(text):
        try:
            return timezone.now() + duration(text)
        except OverflowError:
            raise Refused(f"{text!r} is too far away. Choose an earlier expiry.") from None
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise Refused(
            f"{text!r} is not a time. Write it as 90d, 2027-01-31T00:00Z or never."
        ) from None
