"""Querysets as one statement for the database's own driver, where the ORM takes too long.

Django compiles the SQL, which can be kept and asked again with other values. Columns are read as
answers need them: ids and a caller's JSON objects as text, times in UTC.
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

from django.core.exceptions import EmptyResultSet
from django.db import DEFAULT_DB_ALIAS, OperationalError, connections
from django.db.models import QuerySet

from database.circuit_breaker import CircuitBreaker
from database.connections.postgresql import GuardConnection, first_answer
from database.fields import JSONObjectField, WordsField, words

Reader = Callable[[Any], Any] | None


class _Thread(threading.local):
    """The thread's connection, which costs more to ask Django for each time."""

    def __init__(self) -> None:
        self.database: Any = connections[DEFAULT_DB_ALIAS]


thread = _Thread()
_breaker = CircuitBreaker()


class Statement:
    """One statement of querysets, and how to read each column.

    ``marks`` are values that their filters name, which ``rows`` replaces. Every row of one stands
    beside those of the next, or beside NULLs. Each is best of one table: SQLite would first copy
    the rows of a join.
    """

    def __init__(
        self, *querysets: "QuerySet[Any, Any]", marks: tuple[str | UUID, ...] = ()
    ) -> None:
        self._is_postgresql = thread.database.vendor == "postgresql"
        self._is_kept = bool(marks)
        self._parameters: list[Any] = []
        readers: list[Reader] = []
        statements: list[str] = []
        for queryset in querysets:
            compiler = queryset.query.get_compiler(connection=thread.database)
            sql, parameters = compiler.as_sql()
            statements.append(sql)
            self._parameters += map(str, parameters) if self._is_postgresql else parameters
            readers += [self._reader(column.output_field) for column, _, _ in compiler.select]
        texts = [self._text(mark) for mark in marks]
        self._places = [
            (place, texts.index(parameter))
            for place, parameter in enumerate(self._parameters)
            if parameter in texts
        ]
        self._readers = [(place, read) for place, read in enumerate(readers) if read is not None]
        first, *others = statements
        if others:
            joined = "".join(
                f" LEFT JOIN ({sql}) AS part{n} ON TRUE" for n, sql in enumerate(others)
            )
            first = f"SELECT * FROM ({first}) AS part{joined}"  # noqa: S608 - all of it is the ORM's
        if self._is_postgresql:
            self._sql = first % tuple(f"${number + 1}" for number in range(len(self._parameters)))
        else:
            self._sql = first.replace("%s", "?")

    def rows(self, *values: str | UUID) -> list[tuple[Any, ...]]:
        """Return the rows for ``values``, one for each of the marks."""
        database = thread.database
        if database.connection is None and _breaker.is_open:
            raise OperationalError("the database did not answer a moment ago")
        parameters = list(self._parameters)
        for place, number in self._places:
            parameters[place] = self._text(values[number])
        try:
            # The driver itself: Django's cursor is made for every kind of use, this for one query.
            if self._is_postgresql:
                ask = partial(
                    GuardConnection.select,
                    sql=self._sql,
                    parameters=parameters,
                    is_kept=self._is_kept,
                )
                rows: list[Any] = first_answer(database, ask)
            else:
                if database.connection is None:
                    database.ensure_connection()
                rows = database.connection.execute(self._sql, parameters).fetchall()
        except Exception:
            # A list may fail, or take too long, for what it was asked; the database is not down.
            if self._is_kept:
                _breaker.open()
            with database.wrap_database_errors:
                raise
        if not rows:
            return []
        columns = list(zip(*rows, strict=True))
        for place, read in self._readers:
            columns[place] = tuple([None if v is None else read(v) for v in columns[place]])
        return list(zip(*columns, strict=True))

    def _text(self, value: str | UUID) -> str:
        """Return a value as the driver takes it; SQLite has ids without dashes."""
        return str(value) if isinstance(value, str) or self._is_postgresql else value.hex

    def _reader(self, field: Any) -> Reader:
        kind = field.get_internal_type()
        if isinstance(field, JSONObjectField):
            return bytes.decode if self._is_postgresql else None
        if isinstance(field, WordsField):
            return (lambda text: words(text.decode())) if self._is_postgresql else words
        if hasattr(field, "from_db_value"):
            is_text = self._is_postgresql
            return lambda value: field.from_db_value(
                value.decode() if is_text else value, None, thread.database
            )
        readers = _OF_POSTGRESQL if self._is_postgresql else _OF_SQLITE
        if kind in readers:
            return readers[kind]
        return (lambda text: field.to_python(text.decode())) if self._is_postgresql else None


def read(queryset: "QuerySet[Any, Any]") -> list[tuple[Any, ...]]:
    """Return the rows of a queryset of columns."""
    try:
        return Statement(queryset).rows()
    except EmptyResultSet:
        return []


def _with_dashes(text: str) -> str:
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def _in_utc(value: Any) -> datetime:
    """Read a time, which SQLite's driver has parsed if it knows the column's type."""
    stored = datetime.fromisoformat(value) if isinstance(value, str) else value
    return stored.replace(tzinfo=UTC)


# By Django's names of types. What PostgreSQL sends is text, what is not here is read by its field.
_OF_POSTGRESQL: dict[str, Reader] = {
    "BigAutoField": int,
    "BooleanField": lambda text: text == b"t",
    "CharField": bytes.decode,
    "DateTimeField": lambda text: datetime.fromisoformat(text.decode()),
    "PositiveBigIntegerField": int,
    "PositiveIntegerField": int,
    "PositiveSmallIntegerField": int,
    "TextField": bytes.decode,
    "UUIDField": bytes.decode,
}
_OF_SQLITE: dict[str, Reader] = {
    "BooleanField": bool,
    "DateTimeField": _in_utc,
    "UUIDField": _with_dashes,
}
