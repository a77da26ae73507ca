"""The one query of a guarded request: a key and the secrets it may be called with, by key id.

The queryset is compiled to SQL once per process and then only run; it reads what the guard
judges by and leaves the rest of the row deferred. That is a fifth of the cost of an ORM
``get`` (``docs/decisions.md`` has the figures).
"""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, NamedTuple

from django.db import DEFAULT_DB_ALIAS, DatabaseError, OperationalError, connections, transaction
from django.db.models.base import ModelState
from django.db.models.functions import Now

from apikeys.limits import LIMIT_FIELDS
from apikeys.models import ApiKey, SecretVersion
from apikeys.peppers import Peppers
from database.circuit_breaker import CircuitBreaker
from database.postgresql_connection import GuardConnection, first_answer

Reader = Callable[[Any], Any] | None

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


class _Compiled:
    """The queryset as SQL for the database's own driver, and how to read each column."""

    def __init__(self) -> None:
        database = connections[DEFAULT_DB_ALIAS]
        # A secret without a digest opens nothing; ``lifecycle`` clears those that have retired.
        queryset = (
            SecretVersion.objects.filter(key_id=KEY_ID_MARK)
            .exclude(digest="")
            .order_by()
            .values_list(
                *StoredSecret._fields, *(f"key__{name}" for name in KEY_FIELDS), *_clock(database)
            )
        )
        compiler = queryset.query.get_compiler(connection=database)
        sql, parameters = compiler.as_sql()
        place = parameters.index(KEY_ID_MARK)
        self.before, self.after = parameters[:place], parameters[place + 1 :]
        columns = [column for column, _, _ in compiler.select]
        converters = compiler.get_converters(columns)
        if database.vendor == "postgresql":
            self.sql = sql % tuple(f"${number}" for number in range(1, len(parameters) + 1))
            self.readers = [_postgresql_reader(column) for column in columns]
        else:
            self.sql = sql.replace("%s", "?")
            self.readers = [
                _reader(converters[place], database) if place in converters else None
                for place in range(len(columns))
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
        case _ if hasattr(field, "from_db_value"):
            return lambda text: field.from_db_value(text.decode())
        case _:
            return bytes.decode


def _reader(conversion: tuple[list[Any], Any], database: Any) -> Reader:
    """Return what applies Django's own converters of a column."""
    converters, expression = conversion

    def read(value: Any) -> Any:
        for convert in converters:
            value = convert(value, expression, database)
        return value

    return read


@cache
def _compiled() -> _Compiled:
    return _Compiled()


_breaker = CircuitBreaker()


def find(key_id: str) -> Found:
    """Return the key and its secrets; None and none for an unknown key id."""
    database: Any = connections[DEFAULT_DB_ALIAS]
    query = _compiled()
    if database.connection is None and _breaker.is_open:
        raise OperationalError("the database did not answer a moment ago")
    parameters = (*query.before, key_id, *query.after)
    try:
        # The driver itself: Django's cursor is made for every kind of use, this for one query.
        if database.vendor == "postgresql":
            ask = partial(GuardConnection.select, sql=query.sql, parameters=parameters)
            rows: list[Any] = first_answer(database, ask)
        else:
            database.ensure_connection()
            rows = database.connection.execute(query.sql, parameters).fetchall()
    except Exception:
        _breaker.open()
        with database.wrap_database_errors:
            raise
    if not rows:
        return Found(None, [], datetime.now(UTC))
    found = [
        [
            value if read is None or value is None else read(value)
            for value, read in zip(row, query.readers, strict=True)
        ]
        for row in rows
    ]
    split = len(StoredSecret._fields)
    end = split + len(KEY_FIELDS)
    first = found[0]
    now = first[end] if len(first) > end else datetime.now(UTC)
    return Found(_key(first[split:end]), [StoredSecret(*row[:split]) for row in found], now)


def _key(values: list[Any]) -> ApiKey:
    """Return what ``Model.from_db`` would, without its signals and its checks of each field."""
    key = ApiKey.__new__(ApiKey)
    key._state = ModelState()
    key._state.adding = False
    key._state.db = DEFAULT_DB_ALIAS
    key.__dict__.update(zip(KEY_FIELDS, values, strict=True))
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
