"""Usage, as it is added up while records are shipped; ``logs.charts`` reads it back."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db import connection

from apikeys.models import ApiKey
from logs.models import BUCKETS, HourlyUsage, PermissionUse
from logs.models.usage import BOUNDS
from logs.record import Record

OUTCOMES = ("succeeded", "refused", "limited", "failed")
COUNTS = ("requests", *OUTCOMES, *BUCKETS)


def outcome(status: int) -> str:
    """Return which of the outcomes a status is."""
    if status == 429:
        return "limited"
    if status >= 500:
        return "failed"
    return "refused" if status >= 400 else "succeeded"


def bucket(duration: int) -> str:
    """Return the histogram's bucket for a duration in microseconds."""
    return BUCKETS[bisect_left(BOUNDS, duration)]


def instant(at: datetime) -> Any:
    """Return a time as the database's driver stores it."""
    return connection.ops.adapt_datetimefield_value(at)


def add(requests: Sequence[tuple[Record, datetime]]) -> None:
    """Add requests to what is kept of their keys; within the transaction that stores them."""
    hours: dict[tuple[str, datetime, str], Counter[str]] = defaultdict(Counter)
    last: dict[str, tuple[datetime, str, str]] = {}
    permissions: dict[tuple[str, str], datetime] = {}
    for record, at in requests:
        if record.environment is not None:
            hour = at.replace(minute=0, second=0, microsecond=0)
            counts = hours[record.key or "", hour, record.environment]
            counts["requests"] += 1
            counts[outcome(record.status)] += 1
            counts[bucket(record.duration)] += 1
        # A key that was refused as revoked, expired or of another environment was not used.
        if record.key is not None and record.status != 401:
            used = (at, record.address, record.user_agent)
            last[record.key] = max(last.get(record.key, used), used)
            if record.permission is not None:
                pair = (record.key, record.permission)
                permissions[pair] = max(permissions.get(pair, at), at)
    _add_hours(hours)
    _note_last_use(last)
    _note_permissions(permissions)


def _add_hours(hours: dict[tuple[str, datetime, str], Counter[str]]) -> None:
    table = HourlyUsage._meta.db_table
    names = ", ".join(COUNTS)
    sums = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in COUNTS)
    marks = ", ".join(["%s"] * (3 + len(COUNTS)))
    with connection.cursor() as cursor:
        # In one order everywhere, or two workers wait for each other.
        cursor.executemany(
            f"INSERT INTO {table} (key_id, hour, environment, {names}) VALUES ({marks})"  # noqa: S608
            f" ON CONFLICT (key_id, hour, environment) DO UPDATE SET {sums}",
            [
                (key, instant(hour), environment, *(counts[name] for name in COUNTS))
                for (key, hour, environment), counts in sorted(hours.items())
            ],
        )


def _note_last_use(last: dict[str, tuple[datetime, str, str]]) -> None:
    table = ApiKey._meta.db_table
    with connection.cursor() as cursor:
        cursor.executemany(
            f"UPDATE {table} SET last_used_at = %s, last_used_address = %s, last_used_agent = %s"  # noqa: S608
            " WHERE id = %s AND (last_used_at IS NULL OR last_used_at < %s)",
            [
                (instant(at), address or None, agent, key, instant(at))
                for key, (at, address, agent) in sorted(last.items())
            ],
        )


def _note_permissions(permissions: dict[tuple[str, str], datetime]) -> None:
    table = PermissionUse._meta.db_table
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO {table} (key_id, permission, last_used_at) VALUES (%s, %s, %s)"  # noqa: S608
            " ON CONFLICT (key_id, permission) DO UPDATE SET last_used_at = excluded.last_used_at"
            f" WHERE {table}.last_used_at < excluded.last_used_at",
            [
                (key, permission, instant(at))
                for (key, permission), at in sorted(permissions.items())
            ],
        )
