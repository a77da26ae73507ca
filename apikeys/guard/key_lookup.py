"""The one query of a guarded request: a key and the secrets it may be called with, by key id.

A queryset is compiled to SQL once per process and then only run; it reads what the guard
judges by and leaves the rest of the row deferred. That is a fifth of the cost of an ORM
``get`` (``docs/decisions.md`` has the figures).
"""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, DatabaseError, OperationalError, connections, transaction
from django.db.models import QuerySet
from django.db.models.base import ModelState
from django.db.models.functions import Now

from apikeys.limits import LIMIT_FIELDS
from apikeys.models import ApiKey, SecretVersion
from apikeys.peppers import Peppers
from database.circuit_breaker import CircuitBreaker
from database.fields import WordsField, words
from database.postgresql_connection import GuardConnection, first_answer

Reader = Callable[[Any], Any] | None
# A queryset, and the value that stands for what it is asked with.
Part = tuple[QuerySet[Any, Any], str]

KEY_ID_MARK = "<key id>"
KEY_FIELDS = (
    "id",
    "environment",
    "permissions",
    "customer_scope",
    *LIMIT_FIELDS,
    "networks",
    "expires_at",
    "revoked_at",
)
# What ``apikeys.serializers.as_json`` needs of a row.
SHOWN_FIELDS = (*KEY_FIELDS, "name", "last_used_at", "created_at")


class StoredSecret(NamedTuple):
    """A secret of a key: what a credential is compared with, and until when."""

    id: int
    digest: str
    pepper: int
    number: int
    retires_at: datetime | None


class Found(NamedTuple):
    """A key, the secrets it may be called with, and the time that both are judged at."""

    key: ApiKey | None
    stored_secrets: list[StoredSecret]
    now: datetime


class Query:
    """Querysets as one statement for the database's own driver, and how to read each column.

    Each is given with a value that its filter names, which ``rows`` replaces. Every row of one
    stands beside those of the next, or beside NULLs. Each is best of one table: SQLite would first
    copy the rows of a join.
    """

    def __init__(self, *querysets: Part) -> None:
        database = _thread.database
        self._parameters: list[Any] = []
        self._places: list[int] = []
        readers: list[Reader] = []
        statements: list[str] = []
        for queryset, mark in querysets:
            compiler = queryset.query.get_compiler(connection=database)
            sql, parameters = compiler.as_sql()
            statements.append(sql)
            self._places.append(len(self._parameters) + parameters.index(mark))
            self._parameters += parameters
            readers += _readers(compiler, database)
        self._readers = [(place, read) for place, read in enumerate(readers) if read is not None]
        first, *others = (f"({sql}) AS part{n}" for n, sql in enumerate(statements))
        joined = "".join(f" LEFT JOIN {part} ON TRUE" for part in others)
        sql = f"SELECT * FROM {first}{joined}"  # noqa: S608 - all of it is the ORM's
        if database.vendor == "postgresql":
            self._sql = sql % tuple(f"${number + 1}" for number in range(len(self._parameters)))
        else:
            self._sql = sql.replace("%s", "?")

    def rows(self, *values: str) -> list[list[Any]]:
        """Return the rows for ``values``, one for each queryset."""
        database = _thread.database
        if database.connection is None and _breaker.is_open:
            raise OperationalError("the database did not answer a moment ago")
        parameters = list(self._parameters)
        for place, value in zip(self._places, values, strict=True):
            parameters[place] = value
        try:
            # The driver itself: Django's cursor is made for every kind of use, this for one query.
            if database.vendor == "postgresql":
                ask = partial(GuardConnection.select, sql=self._sql, parameters=parameters)
                rows: list[Any] = first_answer(database, ask)
            else:
                if database.connection is None:
                    database.ensure_connection()
                rows = database.connection.execute(self._sql, parameters).fetchall()
        except Exception:
            _breaker.open()
            with database.wrap_database_errors:
                raise
        return [self._read(list(row)) for row in rows]

    def _read(self, row: list[Any]) -> list[Any]:
        for place, read in self._readers:
            if row[place] is not None:
                row[place] = read(row[place])
        return row


class _Thread(threading.local):
    """The thread's connection, which costs more to ask Django for each time."""

    def __init__(self) -> None:
        self.database: Any = connections[DEFAULT_DB_ALIAS]


_thread = _Thread()
_breaker = CircuitBreaker()


def _readers(compiler: Any, database: Any) -> list[Reader]:
    columns = [column for column, _, _ in compiler.select]
    if database.vendor == "postgresql":
        return [_postgresql_reader(column) for column in columns]
    converters = compiler.get_converters(columns)
    return [
        _reader(column, converters[place][0], database) if place in converters else None
        for place, column in enumerate(columns)
    ]


def _clock(database: Any) -> list[Any]:
    """Return the column that tells the time: one clock where there may be several hosts."""
    return [Now()] if database.vendor == "postgresql" else []


def _postgresql_reader(column: Any) -> Reader:
    """Return what reads the text PostgreSQL sends for ``column``."""
    field = column.output_field
    match field.get_internal_type():
        case "DateTimeField":
            return lambda text: datetime.fromisoformat(text.decode())
        case "BigAutoField" | "PositiveIntegerField" | "PositiveSmallIntegerField":
            return int
        case "BooleanField":
            return lambda text: text == b"t"
        case _ if isinstance(field, WordsField):
            return lambda text: words(text.decode())
        case _:
            return bytes.decode


def _reader(column: Any, converters: list[Any], database: Any) -> Reader:
    """Return what applies Django's own converters of a column; none for an id, which stays text."""
    if isinstance(column.output_field, WordsField):
        return words
    match column.output_field.get_internal_type():
        case "UUIDField":
            return None
        case "BooleanField":
            return bool

    def read(value: Any) -> Any:
        for convert in converters:
            value = convert(value, column, database)
        return value

    return read


def parts(fields: tuple[str, ...] = KEY_FIELDS) -> tuple[Part, Part]:
    """Return what reads a key's secrets and the key itself, both by its id."""
    # A secret without a digest opens nothing; ``lifecycle`` clears those that have retired.
    secrets = SecretVersion.objects.filter(key_id=KEY_ID_MARK).exclude(digest="").order_by()
    keys = ApiKey.objects.filter(id=KEY_ID_MARK).order_by()
    return (
        (secrets.values_list(*StoredSecret._fields), KEY_ID_MARK),
        (keys.values_list(*fields, *_clock(_thread.database)), KEY_ID_MARK),
    )


@cache
def _query(fields: tuple[str, ...]) -> Query:
    return Query(*parts(fields))


def find(key_id: str, fields: tuple[str, ...] = KEY_FIELDS) -> Found:
    """Return the key and its secrets; None and none for an unknown key id."""
    return found(_query(fields).rows(key_id, key_id), fields)


def found(rows: list[list[Any]], fields: tuple[str, ...] = KEY_FIELDS, start: int = 0) -> Found:
    """Read the columns of ``parts``, which are the last of ``rows``, from ``start``.

    Those of a secret are NULL where there is none.
    """
    if not rows or rows[0][start] is None:
        return Found(None, [], datetime.now(UTC))
    split = start + len(StoredSecret._fields)
    end = split + len(fields)
    first = rows[0]
    now = first[end] if len(first) > end else datetime.now(UTC)
    secrets = [StoredSecret(*row[start:split]) for row in rows]
    return Found(_key(fields, first[split:end]), secrets, now)


def _key(fields: tuple[str, ...], values: list[Any]) -> ApiKey:
    """Return what ``Model.from_db`` would, without its signals and its checks of each field."""
    key = ApiKey.__new__(ApiKey)
    key._state = ModelState()
    key._state.adding = False
    key._state.db = DEFAULT_DB_ALIAS
    key.__dict__.update(zip(fields, values, strict=True))
    return key


def upgrade_digest(accepted: StoredSecret, key: ApiKey, secret: str, peppers: Peppers) -> None:
    """Store the digest of a secret that just matched under the newest pepper.

    Conditional on the digest it matched, so that it cannot bring back one replaced meanwhile.
    The request does not depend on it: a failure leaves it to the key's next use.
    """
    digest = peppers.sign(peppers.newest, environment=key.environment, key_id=key.pk, secret=secret)
    try:
        with transaction.atomic():
            SecretVersion.objects.filter(pk=accepted.id, digest=accepted.digest).update(
                digest=digest, pepper=peppers.newest
            )
    except DatabaseError:
        return
