"""A thread's connection to ClickHouse, which never waits past a request's deadline.

Whatever is wrong with the server is raised as ``LogStoreUnavailable``; a statement that is wrong
is a defect, and raised as the client does.
"""

import logging
import ssl
from collections.abc import Mapping, Sequence
from datetime import datetime
from math import ceil
from typing import Any
from uuid import UUID

import clickhouse_connect
from clickhouse_connect.driver import Client
from clickhouse_connect.driver.binding import format_str
from clickhouse_connect.driver.exceptions import ClickHouseError
from urllib3 import PoolManager, Timeout

from database import deadline
from database.circuit_breaker import CircuitBreaker
from database.outages import LogStoreUnavailable

CONNECT_SECONDS = 1.0
# Of what no request waits for; a page's longest list takes a part of it.
READ_SECONDS = 30.0
# ClickHouse's codes for a statement that is wrong: src/Common/ErrorCodes.cpp.
WRONG_STATEMENT = {8, 10, 16, 36, 42, 43, 44, 46, 47, 48, 53, 62, 63, 70, 179, 184, 215, 386}
REASONS = {
    60: "its tables are not there until the worker has started",
    81: "the server does not have the database",
    192: "the server refuses the user or the password",
    193: "the server refuses the user or the password",
    194: "the server refuses the user or the password",
    497: "the user may not do this on the server",
    516: "the server refuses the user or the password",
}
SHARE = 0.75
MAX_REASON_LENGTH = 200

# It would log what it raises, with a traceback.
logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)
_breaker = CircuitBreaker()


class _Pool(PoolManager):
    """Sends once, and waits no longer than the request may."""

    def request(self, method: str, url: str, *args: Any, **options: Any) -> Any:
        read = _seconds()
        connect = min(CONNECT_SECONDS, read)
        timeout = Timeout(connect=connect, read=read)
        return super().request(method, url, *args, **options | {"timeout": timeout, "retries": 0})


class Connection:
    """What Django opens and closes; it connects when it is first asked."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._client: Client | None = None

    def read(self, sql: str) -> Any:
        # Else the server works on after nobody waits for it.
        return self._ask("query", sql, settings={"max_execution_time": ceil(_seconds())})

    def execute(self, sql: str) -> None:
        self._ask("command", sql)

    def insert(
        self, table: str, columns: Sequence[str], rows: bytes, settings: Mapping[str, Any]
    ) -> None:
        """Add rows, a JSON array on each line."""
        self._ask("raw_insert", table, columns, rows, dict(settings), fmt="JSONCompactEachRow")

    def cursor(self) -> "Cursor":
        return Cursor(self)

    def close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _ask(self, method: str, *arguments: Any, **options: Any) -> Any:
        if _breaker.is_open:
            raise LogStoreUnavailable("it did not answer a moment ago")
        try:
            return getattr(self._connected(), method)(*arguments, **options)
        except ClickHouseError as error:
            code = getattr(error, "code", None)
            if code in WRONG_STATEMENT:
                raise
            if code is None:
                _breaker.open()
            self.close()
            raise LogStoreUnavailable(self._reason(error, code)) from error

    def _connected(self) -> Client:
        if self._client is None:
            known = self._options
            pool = _Pool(ssl_context=ssl.create_default_context()) if known["secure"] else _Pool()
            self._client = clickhouse_connect.get_client(
                **known, pool_mgr=pool, compress=False, autogenerate_session_id=False,
                query_retries=0,
            )  # fmt: skip
        return self._client

    def _reason(self, error: Exception, code: int | None) -> str:
        if code is None:
            return f"it does not answer at {self._options['host']}:{self._options['port']}"
        said = " ".join(str(error).split()).partition("DB::Exception: ")[2]
        return REASONS.get(code) or f"it says {said[:MAX_REASON_LENGTH]!r} (code {code})"


def _seconds() -> float:
    """Return how long to wait for an answer.

    Not all that is left of a request: a page goes on without the log, and asks the database then.
    """
    left = deadline.seconds_left()
    return READ_SECONDS if left is None else left * SHARE


class Cursor:
    """Rows of one answer, as DB-API cursors give them."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: list[tuple[Any, ...]] = []
        self.rowcount = -1
        self.lastrowid = None

    def execute(self, sql: str, params: Sequence[Any] | None = None) -> None:
        answer = self._connection.read(sql % tuple(map(literal, params)) if params else sql)
        self._rows = list(reversed(answer.result_rows))
        self.rowcount = len(self._rows)
        self.description = [(name, *[None] * 6) for name in answer.column_names]

    def fetchone(self) -> Any:
        return self._rows.pop() if self._rows else None

    def fetchmany(self, size: int = 1) -> list[Any]:
        return [self._rows.pop() for _ in range(min(size, len(self._rows)))]

    def fetchall(self) -> list[Any]:
        return self.fetchmany(len(self._rows))

    def close(self) -> None:
        self._rows = []


def literal(value: Any) -> str:
    """Return a value as it stands in a statement."""
    match value:
        case None:
            return "NULL"
        case bool() | int():
            return str(int(value))
        case str():
            return str(format_str(value))
        case UUID():
            return f"toUInt128('{value.int}')"
        case datetime():
            return f"toDateTime64('{value:%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')"
    raise TypeError(f"ClickHouse is not sent {type(value).__name__}")
