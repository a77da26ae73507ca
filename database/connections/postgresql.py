"""The PostgreSQL connection, which never waits past a request's deadline.

The pool could check a connection before it hands it out, but after a dead one (the server was
restarted, or a firewall dropped it) it sleeps longer than a request may take. So it does not:
``first_answer`` discards dead connections, with its caller's query as the check. Code that has no
query calls ``connect``.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any, ClassVar, TypeVar

import psycopg
from psycopg import errors, generators
from psycopg.abc import PQGen
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult

from database import deadline
from database.connections import before_commit

RV = TypeVar("RV")

# More than ``statement_timeout``, which config/databases.py sets.
MAX_WAIT_SECONDS = 35.0

# Between us and the server something hands our statement's name to another connection, or the
# table changed under the statement: the query itself is fine.
NAME_LOST = (
    errors.InvalidSqlStatementName,
    errors.DuplicatePreparedStatement,
    errors.FeatureNotSupported,
)


class ServerSilent(psycopg.OperationalError):
    """The server did not answer in the time there was."""


class GuardConnection(psycopg.Connection[Any]):
    """What the pool hands out."""

    # How long to wait without a deadline, for ever if this is None.
    max_wait: ClassVar[float | None] = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._names: dict[str, bytes] = {}

    def commit(self) -> None:
        before_commit.run(self)
        super().commit()

    def wait(self, gen: PQGen[RV], interval: float = 0.1, timeout: float | None = None) -> RV:
        """Wait for the server until ``timeout`` or the request's deadline, then hang up.

        ``statement_timeout`` is the server's to keep, so it is worth nothing when the server is
        frozen or the network swallows packets.
        """
        try:
            seconds = timeout or deadline.seconds_left() or self.max_wait
            return super().wait(gen, interval, seconds)
        except errors._WaitTimeout:
            # Half a conversation is left on the wire: no later query may read its answer.
            self.pgconn.finish()
            raise ServerSilent("the server did not answer in time") from None

    def select(
        self, sql: str, parameters: Sequence[str], *, is_kept: bool
    ) -> list[list[bytes | None]]:
        """Run ``sql``, prepared on the connection if it ``is_kept``; return PostgreSQL's text.

        Half the cost of a cursor, which looks up how to read each column each time. Raises
        what a cursor raises.
        """
        values = [text.encode() for text in parameters]
        with self.lock:
            result = self._run_prepared(sql, values) if is_kept else None
            if result is None:
                self.pgconn.send_query_params(sql.encode(), values)
                result = self._result()
        columns = range(result.nfields)
        return [
            [result.get_value(row, place) for place in columns] for row in range(result.ntuples)
        ]

    def _run_prepared(self, sql: str, values: list[bytes]) -> PGresult | None:
        """Return the answer, or None where the statement cannot be prepared."""
        try:
            name = self._names.get(sql)
            if name is None:
                name = _name(sql)
                self.pgconn.send_prepare(name, sql.encode())
                self._result()
                self._names[sql] = name
            self.pgconn.send_query_prepared(name, values)
            return self._result()
        except NAME_LOST:
            return None

    def _result(self) -> PGresult:
        result: PGresult = self.wait(generators.execute(self.pgconn))[0]
        if result.status not in (ExecStatus.TUPLES_OK, ExecStatus.COMMAND_OK):
            raise errors.error_from_result(result)
        return result


def limit_waits() -> None:
    """Hang up on a server that is silent for longer than it lets a statement take.

    For processes that have no deadlines and run no migrations: another server may have taken over.
    """
    GuardConnection.max_wait = MAX_WAIT_SECONDS


def _name(sql: str) -> bytes:
    # Names the text too: a pooler may hand us a connection on which others prepared theirs.
    return b"latchkey_" + hashlib.sha256(sql.encode()).hexdigest()[:16].encode()


def first_answer(database: Any, question: Callable[[GuardConnection], RV]) -> RV:
    """Ask on the connection ``database`` has, if it is alive, or give it one that is.

    ``question`` changes nothing: connections that turn out to be dead were asked it before.
    """
    if database.connection is not None and database.in_atomic_block:
        return question(database.connection)
    while True:
        if database.connection is None:
            database.ensure_connection()
        pooled: GuardConnection = database.connection
        try:
            return question(pooled)
        except ServerSilent:
            raise
        except psycopg.OperationalError:
            if not pooled.closed:
                raise
            database.close()


def connect(database: Any) -> None:
    """Give ``database`` a connection that is alive, whatever the pool holds, if it has none."""
    if database.connection is not None:
        return
    if database.vendor == "postgresql":
        with database.wrap_database_errors:
            first_answer(database, lambda connection: connection.execute(""))
    else:
        database.ensure_connection()
