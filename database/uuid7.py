"""Ids of stored objects: UUIDs of version 7 (RFC 9562 §5.7), which sort by when they were made."""

from datetime import UTC, datetime
from uuid import UUID

from uuid_utils.compat import uuid7

MAX_MILLISECONDS = 2**48 - 1


# Makes a new id; later ones of one process compare greater.
new_id = uuid7


def first_id_at(timestamp: datetime) -> UUID:
    """Return the smallest id of a time, to compare ids with times; none is before 1970."""
    milliseconds = min(max(0, int(timestamp.timestamp() * 1000)), MAX_MILLISECONDS)
    return UUID(int=(milliseconds << 80) | (7 << 76) | (2 << 62))


def made_at(identifier: UUID) -> datetime:
    """Return when an id was made, to the millisecond."""
    return datetime.fromtimestamp((identifier.int >> 80) / 1000, UTC)
