"""Makes a partitioned table of a usual one while it is read and written; a migration runs it.

The old table becomes the partition of all that is before a bound. PostgreSQL takes it without
reading its rows because a constraint says so, which was validated before, while nobody waited. Each
step is a transaction, and a migration that was cut off begins again.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import CommandError
from django.db import DatabaseError, OperationalError, connection, transaction
from django.utils import timezone
from psycopg.errors import LockNotAvailable

from database.outages import is_outage
from database.uuid7 import first_id_at
from logs.partitions import upkeep
from logs.partitions.catalogue import BOUND, DAY, KEYS, Span, day_of, is_partitioned, name_of

# Until then nobody notices the constraint of a migration that was cut off.
AHEAD = timedelta(days=30)
LOCK_SECONDS = 120
PAUSE_SECONDS = 1.0
INDEXES = """
SELECT relname, pg_get_indexdef(indexrelid), indisprimary, indisvalid AND NOT indisunique
FROM pg_index JOIN pg_class ON pg_class.oid = indexrelid WHERE indrelid = %s::regclass
"""
GRANTS = """
SELECT format('GRANT %%s ON %%s TO %%s', privilege_type, %s,
    CASE grantee WHEN 0 THEN 'PUBLIC' ELSE grantee::regrole::text END)
FROM pg_class, aclexplode(relacl) WHERE pg_class.oid = %s::regclass AND grantee <> relowner
"""


def convert(*_: object) -> None:
    """Divide the log's tables, unless they are, and make the first days; SQLite has none."""
    if connection.vendor != "postgresql":
        return
    with _alone():
        for table in KEYS:
            if not is_partitioned(table):
                _convert(table)
        upkeep.make_ahead(timezone.now(), ahead=2 * DAY)


@contextmanager
def _alone() -> Iterator[None]:
    """Wait until no other migration or worker changes partitions, and keep them from it."""
    ends_at = time.monotonic() + LOCK_SECONDS
    while not _answer("SELECT pg_try_advisory_lock(%s)", upkeep.TURN):
        if time.monotonic() > ends_at:
            raise CommandError(
                "The request log is being divided by another process. Wait for its end, and"
                " migrate again."
            )
        time.sleep(PAUSE_SECONDS)
    try:
        yield
    finally:
        with suppress(DatabaseError):
            _answer("SELECT pg_advisory_unlock(%s)", upkeep.TURN)


def _convert(table: str) -> None:
    try:
        _divide(table)
    except DatabaseError as error:
        if is_outage(error):
            raise
        reason = " ".join(str(error).split()).rstrip(".")
        raise CommandError(
            f"The table {table} cannot be divided by day: {reason}. See to that, and migrate again."
        ) from error


def _divide(table: str) -> None:
    today = day_of(timezone.now())
    if _newest(table) is None and _briefly(
        table, lambda: _switch(table, Span(None, first_id_at(today)), is_empty=True)
    ):
        return
    try:
        bound = today + AHEAD
        span = Span(None, first_id_at(bound))
        newest = _newest(table)
        if newest is not None and newest >= first_id_at(bound):
            raise CommandError(
                f"The table {table} holds requests of a time after {bound:%Y-%m-%d}, as a clock"
                f" that is far ahead makes them. Delete those whose {KEYS[table]} is"
                f" {first_id_at(bound)} or more, and migrate again."
            )
        _briefly(table, lambda: _constrain(table, span))
        _execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {table}{BOUND}")
        _briefly(table, lambda: _switch(table, span))
    except BaseException:
        with suppress(DatabaseError, CommandError):
            _briefly(table, lambda: _unconstrain(table))
        raise


def _newest(table: str) -> UUID | None:
    key = KEYS[table]
    newest: UUID | None = _answer(f"SELECT {key} FROM {table} ORDER BY {key} DESC LIMIT 1")  # noqa: S608
    return newest


def _constrain(table: str, span: Span) -> bool:
    """Have the table take what is within the span alone; a bound that is there may be past."""
    _unconstrain(table)
    condition = span.condition(KEYS[table])
    _execute(f"ALTER TABLE {table} ADD CONSTRAINT {table}{BOUND} CHECK ({condition}) NOT VALID")
    return True


def _unconstrain(table: str) -> bool:
    _execute(f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {table}{BOUND}")
    return True


def _switch(table: str, span: Span, *, is_empty: bool = False) -> bool:
    """Put a partitioned table in the place of one, and have it hold that as its first partition.

    Return False if the table should be empty and is not.
    """
    key, old = KEYS[table], name_of(table, span)
    _execute(f"LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE")
    if is_partitioned(table):
        # Another migration was faster.
        return True
    if is_empty and _newest(table) is not None:
        return False
    with connection.cursor() as cursor:
        cursor.execute(INDEXES, [table])
        indexes = cursor.fetchall()
        cursor.execute(GRANTS, [table, table])
        grants = [statement for (statement,) in cursor.fetchall()]
    _execute(f"ALTER TABLE {table} RENAME TO {old}")
    for name, _, _, _ in indexes:
        _execute(f'ALTER INDEX "{name}" RENAME TO "{name}_before"')
    _execute(
        f"CREATE TABLE {table} (LIKE {old} INCLUDING ALL EXCLUDING INDEXES)"
        f" PARTITION BY RANGE ({key})"
    )
    _unconstrain(table)
    for name, definition, is_primary, is_usual in indexes:
        if is_primary:
            _execute(f'ALTER TABLE {table} ADD CONSTRAINT "{name}" PRIMARY KEY ({key})')
        elif is_usual:
            # The old index becomes its part, because it is defined alike.
            kind = definition.partition(" USING ")[2]
            _execute(f'CREATE INDEX "{name}" ON ONLY {table} USING {kind}')
    _execute(f"ALTER TABLE {table} ATTACH PARTITION {old} {span.bounds}")
    _execute(f"ALTER TABLE {old} DROP CONSTRAINT IF EXISTS {table}{BOUND}")
    rest = Span(span.upper, None)
    gap = name_of(table, rest, is_gap=True)
    _execute(f"CREATE TABLE {gap} PARTITION OF {table} {rest.bounds}")
    for name in (table, gap):
        upkeep.give_to_owner_of(old, name)
    for statement in grants:
        _execute(statement)
    return True


def _briefly(table: str, change: Callable[[], bool]) -> bool:
    """Make a change in a transaction that waits for no lock for long, again until it has them."""
    ends_at = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            with transaction.atomic():
                _execute(f"SET LOCAL lock_timeout = '{upkeep.LOCK_TIMEOUT}'")
                return change()
        except OperationalError as error:
            if not isinstance(error.__cause__, LockNotAvailable):
                raise
        if time.monotonic() > ends_at:
            raise CommandError(
                f"The table {table} is in use for longer than {LOCK_SECONDS} s, perhaps by a"
                " backup. Wait for its end, and migrate again."
            )
        time.sleep(PAUSE_SECONDS)


def _answer(statement: str, *values: Any) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        row = cursor.fetchone()
    return row and row[0]


def _execute(statement: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)
