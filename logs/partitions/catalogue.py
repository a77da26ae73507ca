"""Which partitions the log's tables have, as PostgreSQL's catalogue says.

Partitions are ranges of the time-ordered ids, and together they hold every id: a day each, before
them one for whatever is older, after them one for what nobody expected yet. None is a DEFAULT
partition: with one PostgreSQL sorts each list instead of reading the partitions in turn.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from django.db import IntegrityError, OperationalError, ProgrammingError, connection
from psycopg.errors import CheckViolation

from database.uuid7 import made_at

# With the column of the ids. Requests come first, or one would be shown without its content.
REQUESTS = "logs_requestlog"
KEYS = {REQUESTS: "id", "logs_requestcontent": "request_id"}
DAY = timedelta(days=1)
# Ends the name of the constraint with which a usual table becomes the first partition.
BOUND = "_bound"
RANGE = re.compile(r"FOR VALUES FROM \((MINVALUE|'[^']+')\) TO \((MAXVALUE|'[^']+')\)")
# PostgreSQL's SQLSTATE of a missing privilege, and of a missing table.
TABLE_AT_FAULT = {"42501", "42P01"}
PARTITIONS = """
SELECT inhrelid::regclass::text, relname, pg_get_expr(relpartbound, inhrelid)
FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid WHERE inhparent = to_regclass(%s)
"""
IS_PARTITIONED = "SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(%s)"


@contextmanager
def waited_for() -> Iterator[None]:
    """Have a row that no partition takes be an outage: the table is at fault, and not the row.

    So is a table that may not be written, or is not there.
    """
    try:
        yield
    except ProgrammingError as error:
        if getattr(error.__cause__, "sqlstate", None) in TABLE_AT_FAULT:
            raise OperationalError(str(error)) from error
        raise
    except IntegrityError as error:
        cause = error.__cause__
        if isinstance(cause, CheckViolation):
            # That of no partition at all has no name.
            name = cause.diag.constraint_name
            if name is None or name in {f"{table}{BOUND}" for table in KEYS}:
                raise OperationalError(
                    f"{cause.diag.table_name} takes no record of this time. Run manage.py migrate."
                ) from error
        raise


class Span(NamedTuple):
    """A range of ids: from ``lower``, and below ``upper``; None is no bound."""

    lower: UUID | None
    upper: UUID | None

    @property
    def bounds(self) -> str:
        """Return it as SQL writes the bounds of a partition."""
        lower, upper = _written(self.lower, "MINVALUE"), _written(self.upper, "MAXVALUE")
        return f"FOR VALUES FROM ({lower}) TO ({upper})"

    def condition(self, key: str) -> str:
        """Return the condition for ids in it, as SQL."""
        lower = f"{key} >= '{self.lower}'" if self.lower else ""
        upper = f"{key} < '{self.upper}'" if self.upper else ""
        return " AND ".join(filter(None, (lower, upper))) or "true"


class Partition(NamedTuple):
    """A partition: its name as SQL writes it, and its ids."""

    name: str
    span: Span
    # Waits for days to be made of it, or holds what is older than all of them.
    is_gap: bool


def is_partitioned(table: str) -> bool:
    if connection.vendor != "postgresql":
        return False
    with connection.cursor() as cursor:
        cursor.execute(IS_PARTITIONED, [table])
        row = cursor.fetchone()
    return bool(row and row[0])


def partitions(table: str) -> list[Partition]:
    """Return the partitions of a table in the order of their ids; none if it has none."""
    if connection.vendor != "postgresql":
        return []
    with connection.cursor() as cursor:
        cursor.execute(PARTITIONS, [table])
        rows = cursor.fetchall()
    found = []
    for name, bare, expression in rows:
        if match := RANGE.match(expression):
            span = Span(_read(match[1]), _read(match[2]))
            is_gap = None in span or bare.startswith(f"{table}_gap_")
            found.append(Partition(name, span, is_gap))
    return sorted(found, key=lambda one: one.span.lower or UUID(int=0))


def name_of(table: str, span: Span, *, is_gap: bool = False) -> str:
    """Return the name of a partition that is made."""
    if span.lower is None:
        return f"{table}_before_{made_at(span.upper):%Y%m%d}" if span.upper else f"{table}_all"
    begin = f"{made_at(span.lower):%Y%m%d}"
    if not is_gap:
        return f"{table}_{begin}"
    return f"{table}_gap_{begin}_" + (f"{made_at(span.upper):%Y%m%d}" if span.upper else "on")


def day_of(timestamp: datetime) -> datetime:
    """Return the begin of a day."""
    return timestamp.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def divided(span: Span, days: Iterable[Span]) -> list[tuple[Span, bool]]:
    """Return what a gap is divided into by days within it, and which of those are gaps again."""
    pieces, begin = [], span.lower
    for day in sorted(days, key=lambda one: one.lower or UUID(int=0)):
        if begin != day.lower:
            pieces.append((Span(begin, day.lower), True))
        pieces.append((day, False))
        begin = day.upper
    if begin != span.upper:
        pieces.append((Span(begin, span.upper), True))
    return pieces


def _written(bound: UUID | None, otherwise: str) -> str:
    return f"'{bound}'" if bound else otherwise


def _read(text: str) -> UUID | None:
    return UUID(text.strip("'")) if text.startswith("'") else None
