"""The SQLite connection: writers take turns, and none waits past its request's deadline.

A turn begins before ``BEGIN IMMEDIATE``, or before a statement that is a transaction of its own,
and ends with the transaction, however that ends.

Outside of a transaction, ``executescript`` and a ``WITH`` or a ``PRAGMA`` that writes take no turn:
SQLite's own waiting is all they have. Nothing here uses them where others write.
"""

import sqlite3
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from django.db.backends.sqlite3.base import SQLiteCursorWrapper

from database import deadline
from database.connections import before_commit
from database.connections.write_queue import POLL_SECONDS, Queue

# Of the time there is, so much is spent in the queue. Then the writer asks SQLite without a turn:
# a process ahead of it may stand still without holding the lock.
QUEUE_SHARE = 0.7
WRITES = (
    "BEGIN", "INSERT", "UPDATE", "DELETE", "REPLACE",
    "CREATE", "ALTER", "DROP", "VACUUM", "ANALYZE", "REINDEX",
)  # fmt: skip
POLL_SECONDS_WITHOUT_TURN = 0.02


class FileConnection(sqlite3.Connection):
    """What Django's backend opens; ``write_timeout`` is for writes that no deadline limits."""

    def __init__(
        self, database: str, timeout: float, *args: Any, write_timeout: float, **options: Any
    ) -> None:
        self._path = Path(database)
        # What SQLite makes is readable by all. The files beside it get the mode of this one.
        with suppress(OSError):
            self._path.touch(mode=0o600, exist_ok=False)
        super().__init__(database, timeout, *args, **options)
        self._timeout = self._busy_timeout = timeout
        self._write_timeout = write_timeout
        self._queue: Queue | None = None

    def cursor(self, factory: Any = sqlite3.Cursor) -> Any:
        return super().cursor(TurnCursor if factory is SQLiteCursorWrapper else factory)

    def commit(self) -> None:
        try:
            before_commit.run(self)
            super().commit()
        finally:
            self.end_turn()

    def rollback(self) -> None:
        try:
            super().rollback()
        finally:
            self.end_turn()

    def close(self) -> None:
        try:
            super().close()
        finally:
            if self._queue is not None:
                self._queue.close()
                self._queue = None

    def begin_turn(self) -> tuple[float, float]:
        """Wait for the turn; return when the time is up, and how often to ask SQLite until then.

        SQLite's own waiting is turned off meanwhile: it would ask ever less often, and whoever
        writes without a turn would be faster.
        """
        ends_at = monotonic() + (deadline.seconds_left() or self._write_timeout)
        is_next = False
        # A folder that cannot be written has no queue; SQLite says so with its own error.
        with suppress(OSError):
            self._queue = self._queue or Queue(self._path)
            is_next = self._queue.wait((ends_at - monotonic()) * QUEUE_SHARE)
        self._set_busy_timeout(0)
        return ends_at, POLL_SECONDS if is_next else POLL_SECONDS_WITHOUT_TURN

    def end_turn(self) -> None:
        """Let the next writer go ahead, unless the transaction goes on."""
        self._set_busy_timeout(self._timeout)
        if self._queue is not None and not self.in_transaction:
            self._queue.leave()

    def _set_busy_timeout(self, seconds: float) -> None:
        if seconds != self._busy_timeout:
            super().execute(f"PRAGMA busy_timeout = {seconds * 1000:.0f}")
            self._busy_timeout = seconds


class TurnCursor(SQLiteCursorWrapper):
    """Waits for the connection's turn before it writes."""

    connection: FileConnection

    def execute(self, query: str, params: Any = None) -> Any:
        connection = self.connection
        if connection.in_transaction:
            try:
                return super().execute(query, params)
            finally:
                connection.end_turn()
        if not _is_write(query):
            return super().execute(query, params)
        ends_at, interval = connection.begin_turn()
        try:
            while True:
                try:
                    return super().execute(query, params)
                except sqlite3.OperationalError as error:
                    if not _is_busy(error) or monotonic() > ends_at:
                        raise
                    sleep(interval)
        finally:
            connection.end_turn()

    def executemany(self, query: str, param_list: Any) -> Any:
        """Run a statement for each row; outside of a transaction, in one of its own.

        SQLite would commit row by row, so a statement that met a lock could not be run again.
        """
        connection = self.connection
        if connection.in_transaction or not _is_write(query):
            try:
                return super().executemany(query, param_list)
            finally:
                connection.end_turn()
        self.execute("BEGIN IMMEDIATE")
        try:
            result = super().executemany(query, param_list)
            connection.commit()
        except BaseException:
            connection.rollback()
            raise
        return result


def _is_write(query: str) -> bool:
    return query.lstrip()[:8].upper().startswith(WRITES)


def _is_busy(error: sqlite3.Error) -> bool:
    return error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
