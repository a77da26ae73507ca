"""Ids of stored objects: UUIDs of version 7 (RFC 9562 §5.7), which sort by when they were made."""

from uuid import UUID

from uuid_utils.compat import uuid7


def new_id() -> UUID:
    """Return a new id; later ones of one process compare greater."""
    return uuid7()
