"""How each database gives a consistent copy of its rows and takes them back, as streams.

Both read one snapshot and hold up no writer: PostgreSQL in one transaction of isolation level
REPEATABLE READ, SQLite in one read transaction of its write-ahead log. Time limits that are meant
for requests are off meanwhile.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.db import DatabaseError, connection, transaction
from psycopg import generators
from psycopg.copy import LibpqWriter

from database.connections import time_limits
from operations.backups import rows
from operations.backups.archive import Member, Reader
from operations.backups.schema import Table

ROWS_AT_ONCE = 500
# How the rows are written does not depend on how a server is set up.
FORM = """
SET LOCAL TimeZone = 'UTC';
SET LOCAL DateStyle = 'ISO, YMD';
SET LOCAL bytea_output = 'hex';
SET LOCAL extra_float_digits = 1;
"""
# A file that is read once from end to end would fill the memory that requests share.
UNMAPPED = "PRAGMA mmap_size = 0"
# Or the rows of an index are in memory while it is made.
SORTED_ON_DISK = "PRAGMA temp_store = FILE"
POSTGRESQL_INDEXES = """
SELECT part.relname, whole.relname, replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON ')
FROM pg_index
JOIN pg_class AS part ON part.oid = indexrelid JOIN pg_class AS whole ON whole.oid = indrelid
WHERE NOT indisunique AND whole.relname = ANY(%s) AND pg_table_is_visible(whole.oid)
"""
SQLITE_INDEXES = """
SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index' AND sql LIKE 'CREATE INDEX%'
"""
APPLICATION_NAME = "latchkey backup"


class FlushingWriter(LibpqWriter):
    """Waits for the server after each block; else what it has not read yet waits in memory."""

    def write(self, data: Any) -> None:
        self.connection.wait(generators.copy_to(self._pgconn, data, flush=True))


@contextmanager
def snapshot(tables: list[Table]) -> Iterator[None]:
    """See the database as it is now for as long as the block lasts."""
    if connection.vendor == "postgresql":
        names = ", ".join(connection.ops.quote_name(table.name) for table in tables)
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            cursor.execute(time_limits.LIFT_FOR_TRANSACTION + FORM)
            cursor.execute(f"SET LOCAL application_name = '{APPLICATION_NAME}'")
            if names:
                # Before the first query, and as pg_dump does: no migration alters what is read.
                cursor.execute(f"LOCK TABLE {names} IN ACCESS SHARE MODE")
            yield
        return
    connection.ensure_connection()
    driver: Any = connection.connection
    driver.execute(UNMAPPED)
    # Django begins every transaction as a writer's. This one must not keep writers out.
    driver.execute("BEGIN")
    try:
        yield
    finally:
        driver.execute("ROLLBACK")


def copy_out(table: Table, member: Member) -> None:
    """Write the rows of a table."""
    name = connection.ops.quote_name(table.name)
    if connection.vendor == "postgresql":
        # Of a table with partitions PostgreSQL copies a query alone.
        statement = f"COPY (SELECT {table.column_list} FROM {name}) TO STDOUT"  # noqa: S608
        with connection.cursor() as cursor, cursor.copy(statement) as copy:
            for line in copy:
                member.write(line)
        return
    driver: Any = connection.connection
    cursor = driver.execute(f"SELECT {table.column_list} FROM {name}")  # noqa: S608
    while some := cursor.fetchmany(ROWS_AT_ONCE):
        member.write(rows.written(some, table.kinds))


def copy_in(table: Table, archive: Reader) -> int:
    """Store the rows of a table; return how many they are."""
    name = connection.ops.quote_name(table.name)
    # What is asked of a driver past Django raises the driver's own errors.
    with connection.wrap_database_errors:
        if connection.vendor == "postgresql":
            statement = f"COPY {name} ({table.column_list}) FROM STDIN"
            with connection.cursor() as cursor:
                writer = FlushingWriter(cursor.cursor)
                with cursor.copy(statement, writer=writer) as copy:
                    for block in archive.blocks(table.name):
                        copy.write(block)
                return int(cursor.rowcount)
        marks = ", ".join("?" * len(table.columns))
        statement = f"INSERT INTO {name} ({table.column_list}) VALUES ({marks})"  # noqa: S608
        driver: Any = connection.connection
        number = 0
        for lines in archive.lines(table.name):
            driver.executemany(statement, rows.read(lines, table.kinds))
            number += len(lines)
        return number


@contextmanager
def filling(tables: list[Table]) -> Iterator[None]:
    """Check foreign keys and make the indexes once all rows are stored.

    Row by row it takes several times as long, because each index is hit all over.
    """
    # SQLite takes this before a transaction alone.
    with connection.constraint_checks_disabled(), transaction.atomic():
        indexes = _indexes([table.name for table in tables])
        _execute([f"DROP INDEX {name}" for name in indexes])
        yield
        connection.check_constraints()
        _execute(indexes.values())


def _indexes(tables: list[str]) -> dict[str, str]:
    """Return how to make each index that does not keep rows unique, by its quoted name."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(POSTGRESQL_INDEXES, [tables])
        else:
            cursor.execute(SQLITE_INDEXES)
        found = [(name, sql) for name, table, sql in cursor.fetchall() if table in tables]
    return {connection.ops.quote_name(name): sql for name, sql in found}


def _execute(statements: Iterable[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def last_number(table: Table) -> int:
    """Return the last number that was given to a row; it may be gone since."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"SELECT coalesce(pg_sequence_last_value({_sequence(table)}), 0)")
        else:
            cursor.execute(
                "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = %s", [table.name]
            )
        return int(cursor.fetchone()[0])


def set_last_number(table: Table, number: int) -> None:
    """Have the next row get a number that no row ever had."""
    if number < 1:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(f"SELECT setval({_sequence(table)}, %s)", [number])
        else:
            cursor.execute("DELETE FROM sqlite_sequence WHERE name = %s", [table.name])
            cursor.execute("INSERT INTO sqlite_sequence VALUES (%s, %s)", [table.name, number])


def _sequence(table: Table) -> str:
    name = connection.ops.quote_name(table.name)
    return f"pg_get_serial_sequence('{name}', '{table.identity}')::regclass"


@contextmanager
def unhurried() -> Iterator[None]:
    """Let statements take as long as they take."""
    if connection.vendor != "postgresql":
        _execute((UNMAPPED, SORTED_ON_DISK))
        yield
        return
    time_limits.lift(using=connection.alias)
    try:
        yield
    finally:
        with suppress(DatabaseError):
            time_limits.put_back(using=connection.alias)
