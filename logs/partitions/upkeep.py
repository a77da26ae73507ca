"""Makes partitions ahead, and drops those that are over; ``manage.py worker`` does both.

PostgreSQL lets nobody use a table while one of its partitions changes, and who waits to change one
holds up all who come after. So everything is prepared beside the table, and its lock is asked for
again and again, each time for a moment only. One process at a time changes partitions.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from math import ceil
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import OperationalError, connection, transaction
from psycopg.errors import LockNotAvailable

from database.connections import time_limits
from database.periodic_tasks import PeriodicTask
from database.uuid7 import first_id_at, made_at
from logs.partitions.catalogue import (
    DAY,
    KEYS,
    REQUESTS,
    Partition,
    Span,
    day_of,
    divided,
    name_of,
    partitions,
)  # fmt: skip

logger = logging.getLogger(__name__)

AHEAD = 7 * DAY
# A query that nothing narrows to some days is planned for each partition anew.
MAX_PARTITIONS = 60
LOCK_TIMEOUT = "300ms"
ATTEMPTS = 8
PAUSE_SECONDS = 0.5
# The number of the advisory lock.
TURN = 0x6C6F6773
# At once, as each takes a lock for itself and for each of its indexes.
MAX_DROPPED = 16
MAX_UNEXPECTED = 31
OWNER = "SELECT relowner::regrole::text FROM pg_class WHERE oid = %s::regclass"
# Ids beyond are no times.
LAST = first_id_at(datetime(9000, 1, 1, tzinfo=UTC))


class _Free(Exception):
    """Undoes a lock that was only tried."""


class InUse(Exception):
    """Somebody has a table locked for longer than others may be held up."""


def make_ahead(now: datetime, *, ahead: timedelta = AHEAD) -> None:
    """See that the days to come have partitions, and days of which rows came unexpectedly."""
    today = day_of(now)
    wanted = today - timedelta(days=settings.LOG_RETENTION_DAYS), today + ahead
    for table in KEYS:
        for gap in partitions(table):
            # What is before all days is left to retention.
            if gap.is_gap and gap.span.lower is not None:
                change = partial(_split, table, gap.name, wanted)
                _attempt("made", change)


def divide_oldest(since: datetime) -> None:
    """Make days from ``since`` on of what is before all days, where that has no rows yet."""
    for table in KEYS:
        oldest = next(iter(partitions(table)), None)
        if oldest is not None and oldest.span.lower is None:
            _attempt("made", partial(_split_oldest, table, oldest, since))


def _split_oldest(table: str, oldest: Partition, since: datetime) -> bool:
    upper = oldest.span.upper
    days = list(_days(day_of(since), made_at(upper) - DAY, upper)) if upper else []
    with transaction.atomic(), connection.cursor() as cursor:
        if days and _is_turn(cursor) and not _has_rows(cursor, oldest.name):
            _divide(cursor, table, oldest, days)
    return True


def whole_until(timestamp: datetime) -> datetime | None:
    """Return up to when dropping deletes what is before ``timestamp``; None if nothing is."""
    over = _expired(REQUESTS, first_id_at(timestamp))
    return made_at(over[-1].span.upper) if over and over[-1].span.upper else None


def days_begin(timestamp: datetime) -> datetime:
    """Return up to when rows are deleted one by one: until the days that are dropped whole."""
    there, bound = partitions(REQUESTS), first_id_at(timestamp)
    holder = next((one for one in there if not one.span.upper or bound < one.span.upper), None)
    upper = there[0].span.upper if there else None
    # Where nobody makes days, one that never ends holds all rows.
    return timestamp if not upper or not holder or holder.is_gap else made_at(upper)


def drop_before(timestamp: datetime) -> bool:
    """Drop the partitions of what is before ``timestamp``; False if they are in use."""
    bound = first_id_at(timestamp)
    while any(_expired(table, bound) for table in KEYS):
        if not _attempt("dropped", lambda: _drop(bound)):
            return False
    return True


def _expired(table: str, bound: UUID) -> list[Partition]:
    """Return what may be dropped, the oldest first; of one alone another would be made."""
    over = [one for one in partitions(table) if one.span.upper and one.span.upper <= bound]
    return over if len(over) > 1 else []


def _split(table: str, name: str, wanted: tuple[datetime, datetime]) -> bool:
    with transaction.atomic(), connection.cursor() as cursor:
        if not _is_turn(cursor):
            return False
        gap = next((one for one in partitions(table) if one.name == name), None)
        days = _wanted(cursor, table, gap, *wanted) if gap else []
        if gap and days:
            _divide(cursor, table, gap, days)
    return True


def _wanted(
    cursor: Any, table: str, gap: Partition, since: datetime, until: datetime
) -> list[Span]:
    """Return the days that a gap should be divided by: those wanted, and later ones with rows."""
    lower, upper = gap.span
    begin = max(since, made_at(lower)) if lower else since
    days = list(_days(begin, until, upper))
    begin = max(begin, until + DAY)
    sql = f"SELECT {KEYS[table]} FROM {gap.name} WHERE {KEYS[table]} >= %s ORDER BY 1 LIMIT 1"  # noqa: S608
    for _ in range(MAX_UNEXPECTED):
        cursor.execute(sql, [first_id_at(begin)])
        row = cursor.fetchone()
        if row is None or row[0] >= LAST:
            break
        begin = max(begin, day_of(made_at(row[0])))
        (day,) = _days(begin, begin, upper)
        days.append(day)
        begin += days_each()
    return days


def _days(begin: datetime, until: datetime, upper: UUID | None) -> Iterator[Span]:
    """Yield days from one to another, but for what is not below ``upper``."""
    while begin <= until and (upper is None or first_id_at(begin) < upper):
        end = first_id_at(begin + days_each())
        yield Span(first_id_at(begin), min(end, upper) if upper else end)
        begin += days_each()


def days_each() -> timedelta:
    """Return how long a partition is: a day, or some where the log is kept for long."""
    return max(1, ceil(settings.LOG_RETENTION_DAYS / MAX_PARTITIONS)) * DAY


def _divide(cursor: Any, table: str, gap: Partition, days: Sequence[Span]) -> None:
    """Make partitions of a gap; raise ``InUse`` if others keep the table.

    If it has rows, they are copied while everybody reads them and nobody writes: workers wait with
    what they ship.
    """
    made = _make(cursor, table, divided(gap.span, days))
    is_copied = _has_rows(cursor, gap.name)
    if is_copied:
        # Nothing is copied for nobody: a backup would let it begin, and not end.
        _see_that_free(cursor, [table, gap.name])
        _lock(cursor, [table], "SHARE")
        _copy(cursor, table, gap, made)
    _lock(cursor, [table, gap.name], "ACCESS EXCLUSIVE")
    # None were there a moment ago, so these are few.
    if not is_copied and _has_rows(cursor, gap.name):
        _copy(cursor, table, gap, made)
    cursor.execute(f"DROP TABLE {gap.name}")
    _attach(cursor, table, made)


def _drop(bound: UUID) -> bool:
    """Drop what is below a bound, of both tables at once, but not more than ``MAX_DROPPED``."""
    with transaction.atomic(), connection.cursor() as cursor:
        if not _is_turn(cursor):
            return False
        over = {table: _expired(table, bound)[:MAX_DROPPED] for table in KEYS}
        # What is older than all days, and comes yet, has a place again.
        made = {
            table: _make(cursor, table, [(Span(None, some[-1].span.upper), True)])
            for table, some in over.items()
            if some
        }
        names = [name for table in made for name in (table, *(one.name for one in over[table]))]
        if names:
            _lock(cursor, names, "ACCESS EXCLUSIVE")
        for table, spans in made.items():
            for one in over[table]:
                cursor.execute(f"DROP TABLE {one.name}")
            _attach(cursor, table, spans)
    return True


def _make(cursor: Any, table: str, pieces: list[tuple[Span, bool]]) -> dict[str, Span]:
    """Make tables that are going to be partitions; return their names with what each holds."""
    made = {}
    for span, is_gap in pieces:
        name = name_of(table, span, is_gap=is_gap)
        made[name] = span
        cursor.execute(f"CREATE TABLE {name} (LIKE {table} INCLUDING ALL)")
        give_to_owner_of(table, name)
        # With it PostgreSQL does not read the rows before it takes them.
        check = f"CHECK ({span.condition(KEYS[table])})"
        cursor.execute(f"ALTER TABLE {name} ADD CONSTRAINT {name}_span {check}")
    return made


def give_to_owner_of(table: str, name: str) -> None:
    """Have a table that was made belong to who owns another: who migrates may be somebody else."""
    with connection.cursor() as cursor:
        cursor.execute(OWNER, [table])
        (owner,) = cursor.fetchone()
        cursor.execute(f"ALTER TABLE {name} OWNER TO {owner}")


def _attach(cursor: Any, table: str, made: dict[str, Span]) -> None:
    for name, span in made.items():
        cursor.execute(f"ALTER TABLE {table} ATTACH PARTITION {name} {span.bounds}")
        cursor.execute(f"ALTER TABLE {name} DROP CONSTRAINT {name}_span")


def _copy(cursor: Any, table: str, gap: Partition, made: dict[str, Span]) -> None:
    for name, span in made.items():
        condition = span.condition(KEYS[table])
        cursor.execute(f"INSERT INTO {name} SELECT * FROM {gap.name} WHERE {condition}")  # noqa: S608


def _has_rows(cursor: Any, name: str) -> bool:
    cursor.execute(f"SELECT EXISTS (SELECT FROM {name})")  # noqa: S608
    return bool(cursor.fetchone()[0])


def _is_turn(cursor: Any) -> bool:
    """Whether nobody else changes partitions until the end of the transaction."""
    cursor.execute(f"{time_limits.LIFT_FOR_TRANSACTION} SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
    cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [TURN])
    return bool(cursor.fetchone()[0])


def _lock(cursor: Any, names: Sequence[str], mode: str) -> None:
    """Take a lock of tables and not of their partitions; raise ``InUse`` if others have it."""
    tables = ", ".join(f"ONLY {name}" for name in names)
    for attempt in range(ATTEMPTS):
        try:
            with transaction.atomic():
                cursor.execute(f"LOCK TABLE {tables} IN {mode} MODE")
            return
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
        if attempt < ATTEMPTS - 1:
            time.sleep(PAUSE_SECONDS)
    raise InUse(names[0])


def _see_that_free(cursor: Any, names: Sequence[str]) -> None:
    """Take an exclusive lock and let go of it; raise ``InUse`` if others have the tables."""
    with suppress(_Free), transaction.atomic():
        _lock(cursor, names, "ACCESS EXCLUSIVE")
        raise _Free


def _attempt(done: str, change: Any) -> bool:
    """Change partitions; say so by one line if somebody uses the table, as a backup does."""
    try:
        return bool(change())
    except InUse as table:
        logger.warning(
            "partitions of %s are %s later: the table is locked, perhaps by a backup", table, done
        )
        return False


MAKING = PeriodicTask("making of partitions of the request log", 3600, make_ahead)
