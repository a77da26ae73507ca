"""Ids of stored objects: UUIDs of version 7 (RFC 9562 §5.7), which sort by when they were made."""

from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7

MAX_MILLISECONDS = 2**48 - 1
# Which is beyond the year 9999, where Python's times end.
LAST_SECOND = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


# Makes a new id; later ones of one process compare greater.
new_id = uuid7


def first_id_at(timestamp: datetime) -> UUID:
    """Return the smallest id of a time, to compare ids with times; none is before 1970."""
    milliseconds = min(max(0, int(timestamp.timestamp() * 1000)), MAX_MILLISECONDS)
    return UUID(int=(milliseconds << 80) | (7 << 76) | (2 << 62))


def made_at(identifier: UUID) -> datetime:
    """Return when an id was made, to the millisecond; at most ``LAST_SECOND``."""
    milliseconds = min(identifier.int >> 80, int(LAST_SECOND.timestamp() * 1000))
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def id_at(timestamp: datetime) -> UUID:
    """Make a new id of a time, to the millisecond."""
    return uuid7(nanoseconds=int(timestamp.timestamp() * 1000) * 1_000_000)
