"""Whether the request log on PostgreSQL can be divided by day, and is."""

from collections.abc import Iterator

from django.db import connection
from django.utils import timezone

from database.uuid7 import first_id_at
from logs.partitions.catalogue import DAY, KEYS, REQUESTS, partitions
from operations.checkup.findings import Finding

STRANGERS = """
SELECT current_user, relname FROM pg_class
WHERE (oid = ANY(%s::regclass[]) OR oid IN (SELECT inhrelid FROM pg_inherits
    WHERE inhparent = ANY(%s::regclass[]))) AND NOT pg_has_role(relowner, 'USAGE') ORDER BY relname
"""
LOCKS = """
SELECT locks, locks * current_setting('max_connections')::int
FROM (SELECT current_setting('max_locks_per_transaction')::int AS locks) AS setting
"""
# A partition's, with those of its indexes.
LOCKS_EACH = 14
# Lists that are read at the same time.
LISTS = 8


def check_owner() -> Iterator[Finding]:
    """See that a worker may make partitions and drop them, which takes the owner of the table."""
    if connection.vendor != "postgresql":
        return
    tables = list(KEYS)
    with connection.cursor() as cursor:
        cursor.execute(STRANGERS, [tables, tables])
        strangers = cursor.fetchall()
    if strangers:
        user, table = strangers[0]
        yield Finding(
            "log-owner",
            f"The database user {user} does not own {table}, so no days of the request log are made"
            " or dropped.",
            f'Run ALTER TABLE {table} OWNER TO "{user}", and so for its partitions.',
        )


def check_days() -> Iterator[Finding]:
    """See that tomorrow has partitions; a worker makes them a week ahead."""
    tomorrow = first_id_at(timezone.now() + DAY)
    for table in KEYS:
        days = [one for one in partitions(table) if not one.span.upper or tomorrow < one.span.upper]
        # The first of them holds tomorrow. What is before all days does until an upgrade is old.
        if days and days[0].is_gap and days[0].span.lower:
            yield Finding(
                "log-partitions",
                f"The table {table} has no partition for tomorrow.",
                "Start a worker, and read in its log what keeps it from making them.",
            )


def check_locks() -> Iterator[Finding]:
    """See that PostgreSQL can lock all partitions for some lists that are read at once."""
    number = len(partitions(REQUESTS))
    if not number:
        return
    with connection.cursor() as cursor:
        cursor.execute(LOCKS)
        each, there = cursor.fetchone()
    if number * LOCKS_EACH * LISTS > there:
        yield Finding(
            "log-locks",
            f"PostgreSQL has room for {there:,} locks, and a list of the request log takes"
            f" {number * LOCKS_EACH:,} for its {number} partitions.",
            f"Set max_locks_per_transaction = {4 * each} in postgresql.conf, and restart it.",
        )
