"""Adds up usage while records are shipped; ``logs.usage_charts`` reads it."""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from typing import NamedTuple

from django.db import connection

from apikeys.models import ApiKey
from apikeys.permissions import Permission
from database import bulk_sql
from logs.capture.record import UNCONFIRMED, Record
from logs.models import BUCKETS, DailyPeak, HourlyUsage, PermissionUse
from logs.models.usage import BOUNDS

OUTCOMES = ("succeeded", "refused", "limited", "failed")
# A key or none, the hour's beginning in microseconds since 1970, an environment, a service or none.
Hour = tuple[str, int, str, str]
HOUR = 3_600_000_000
MINUTE = 60_000_000
MINUTES_A_DAY = 1_440
COUNTS = ("requests", *OUTCOMES, *BUCKETS)


class Use(NamedTuple):
    """When a key was used, in microseconds since 1970, and from where, if that is known."""

    at: int
    address: str | None
    agent: str | None


def outcome(status: int, code: str) -> str:
    if code == "rate_limited":
        return "limited"
    if status >= 500:
        return "failed"
    return "refused" if status >= 400 else "succeeded"


def bucket(duration: int) -> str:
    return BUCKETS[bisect_left(BOUNDS, duration)]


def timestamp(microseconds: int) -> str:
    second, rest = divmod(microseconds, 1_000_000)
    return f"{_second(second)}.{rest:06d}{_zone()}"


@cache
def _zone() -> str:
    return "+00" if connection.vendor == "postgresql" else ""


@lru_cache(maxsize=64)
def _second(second: int) -> str:
    return f"{datetime.fromtimestamp(second, UTC):%Y-%m-%d %H:%M:%S}"


def add(records: Sequence[Record]) -> None:
    """Add requests to what is kept of their keys; within the transaction that stores them."""
    # Many records are alike, so they are counted first.
    alike = Counter(
        (
            use.key or "",
            use.at - use.at % HOUR,
            use.environment,
            "" if use.code in UNCONFIRMED else use.service,
            outcome(use.status, use.code),
            bucket(use.duration),
        )
        for use in records
        if use.environment is not None
    )
    hours: dict[Hour, Counter[str]] = defaultdict(Counter)
    for (key, hour, environment, service, result, held), number in alike.items():
        counts = hours[key, hour, environment, service]
        for name in ("requests", result, held):
            counts[name] += number
    last: dict[str, Use] = {}
    permissions: dict[tuple[str, str], int] = {}
    minutes: Counter[tuple[str, int]] = Counter()
    for key, use, permission in _uses(records):
        minutes[key, use.at // MINUTE] += 1
        known = last.get(key)
        if known is None:
            last[key] = use
        elif known.at < use.at:
            last[key] = known._replace(at=use.at) if use.agent is None else use
        if permission is not None:
            pair = (key, permission)
            permissions[pair] = max(permissions.get(pair, use.at), use.at)
    _add_hours(hours)
    _add_minutes(minutes)
    _note_last_use(last)
    _note_permissions(permissions)


def _uses(records: Sequence[Record]) -> Iterator[tuple[str, Use, str | None]]:
    """Yield the keys that were used, each with its use and the permission that it took."""
    for record in records:
        if record.caller is not None:
            # Address and agent on record are those of the request that was decided about.
            yield record.caller, Use(record.at, None, None), Permission.KEYS_VERIFY
        # A key that was refused as revoked, expired, or for its environment or the caller's
        # address was not used, whatever the status of that answer.
        if record.key is not None and record.is_key_accepted:
            # A server that verifies a key need not say for whom: the last known origin stays.
            agent = record.user_agent if record.address or record.caller is None else None
            use = Use(record.at, record.address or None, agent)
            yield record.key, use, record.permission


def _add_hours(hours: dict[Hour, Counter[str]]) -> None:
    table = HourlyUsage._meta.db_table
    names = ", ".join(COUNTS)
    sums = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in COUNTS)
    bulk_sql.run(
        f"INSERT INTO {table} (key_id, hour, environment, service, {names})"  # noqa: S608
        f" SELECT key_id, hour, environment, service, {names} FROM {{given}} WHERE true"
        f" ON CONFLICT (key_id, hour, environment, service) DO UPDATE SET {sums}",
        {"key_id": "text", "hour": "timestamptz", "environment": "text", "service": "text"}
        | dict.fromkeys(COUNTS, "bigint"),
        [
            (key, timestamp(hour), environment, service, *(counts[name] for name in COUNTS))
            for (key, hour, environment, service), counts in sorted(hours.items())
        ],
    )


def _add_minutes(minutes: Counter[tuple[str, int]]) -> None:
    """Raise the peaks of days. A minute that ends in another batch than it began is added up.

    One that comes after a newer minute, from another host's spool, is not, so that its peak may
    be too low.
    """
    days: dict[tuple[str, int], list[tuple[int, int]]] = defaultdict(list)
    for (key, minute), number in sorted(minutes.items()):
        days[key, minute // MINUTES_A_DAY].append((minute % MINUTES_A_DAY, number))
    # The first minute may have begun in the batch before; of the rest only the last goes on.
    first = {day: counted[:1] for day, counted in days.items()}
    rest = {day: counted[1:] for day, counted in days.items() if counted[1:]}
    table = DailyPeak._meta.db_table
    grown = f"CASE WHEN excluded.minute = {table}.minute THEN {table}.requests ELSE 0 END"
    largest = "greatest" if connection.vendor == "postgresql" else "max"
    for part in (first, rest):
        bulk_sql.run(
            f"INSERT INTO {table} (key_id, day, busiest, minute, requests)"  # noqa: S608
            " SELECT key_id, day, busiest, minute, requests FROM {given} WHERE true"
            " ON CONFLICT (key_id, day) DO UPDATE SET busiest ="
            f" {largest}({table}.busiest, excluded.busiest, excluded.requests + {grown}),"
            f" requests = CASE WHEN excluded.minute < {table}.minute THEN {table}.requests"
            f" ELSE excluded.requests + {grown} END,"
            f" minute = {largest}({table}.minute, excluded.minute)",
            {
                "key_id": "text",
                "day": "date",
                "busiest": "bigint",
                "minute": "smallint",
                "requests": "bigint",
            },
            [
                (key, _day(day), max(number for _, number in counted), *counted[-1])
                for (key, day), counted in part.items()
            ],
        )


@lru_cache(maxsize=8)
def _day(day: int) -> str:
    return f"{date(1970, 1, 1) + timedelta(days=day)}"


def _note_last_use(last: dict[str, Use]) -> None:
    table = ApiKey._meta.db_table
    # Locked in one order: an UPDATE of many rows takes them in whichever its plan finds them.
    rows = ApiKey.objects.select_for_update(no_key=True).filter(pk__in=last).order_by("pk")
    list(rows.values_list("pk"))
    bulk_sql.run(
        f"UPDATE {table} SET last_used_at = given.at,"  # noqa: S608
        f" last_used_address = coalesce(given.address, {table}.last_used_address),"
        f" last_used_agent = coalesce(given.agent, {table}.last_used_agent)"
        f" FROM {{given}} WHERE {table}.id = given.id"
        f" AND ({table}.last_used_at IS NULL OR {table}.last_used_at < given.at)",
        {"id": "text", "at": "timestamptz", "address": "inet", "agent": "text"},
        [(key, timestamp(use.at), use.address, use.agent) for key, use in sorted(last.items())],
    )


def _note_permissions(permissions: dict[tuple[str, str], int]) -> None:
    table = PermissionUse._meta.db_table
    bulk_sql.run(
        f"INSERT INTO {table} (key_id, permission, last_used_at)"  # noqa: S608
        " SELECT key_id, permission, last_used_at FROM {given} WHERE true"
        " ON CONFLICT (key_id, permission) DO UPDATE SET last_used_at = excluded.last_used_at"
        f" WHERE {table}.last_used_at < excluded.last_used_at",
        {"key_id": "text", "permission": "text", "last_used_at": "timestamptz"},
        [(key, permission, timestamp(at)) for (key, permission), at in sorted(permissions.items())],
    )
