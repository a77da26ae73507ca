"""Counters in a SQLite file of their own: shared by all processes of a host, kept on restart.

Apart from the database, so that counting neither waits for a writer there nor makes one wait,
and an installation on PostgreSQL without Redis counts the same way.
"""

import os
import sqlite3
import threading
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path
from time import time, time_ns
from typing import Any

from apikeys.limiter.store import (
    CountersUnavailable,
    Decision,
    Window,
    counters_unavailable,
    require_countable,
)
from apikeys.limiter.windows import decide
from apikeys.limits import MAX_LIMIT
from database.circuit_breaker import CircuitBreaker

BUSY_SECONDS = 0.7
SWEEP_ROWS = 500
MAX_LOG_PAGES = 4_000
SCHEMA = """
CREATE TABLE IF NOT EXISTS counters (
    subject TEXT PRIMARY KEY, state BLOB NOT NULL, expires_at INTEGER NOT NULL
)
"""


_seconds = attrgetter("seconds")
COUNT = "UPDATE counters SET state = decided(state), expires_at = ? WHERE subject = ?"
BEGIN = "INSERT OR IGNORE INTO counters VALUES (?, x'', 0)"


class CounterFile:
    """A ``Store`` in ``path``.

    One connection and one lock a process: threads take turns in microseconds, where SQLite's
    own waiting would sleep for milliseconds. Counting is one statement: SQLite takes the
    file's write lock, hands the state to ``_decided`` and writes what that returns.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._breaker = CircuitBreaker()
        self._windows: Sequence[Window] = ()
        self._cost = 1
        self._decision: Decision | None = None
        # A connection taken through a fork corrupts the file.
        os.register_at_fork(after_in_child=self._forget)

    def hit(self, subject: str, windows: Sequence[Window], cost: int = 1) -> Decision:
        """Admit ``cost`` units of ``subject`` in every window, or in none."""
        require_countable(windows, cost)
        longest = max(map(_seconds, windows))
        with _Turn(self) as connection:
            self._windows, self._cost = windows, cost
            parameters = (int(time()) + longest + 1, subject)
            while True:
                connection.execute(COUNT, parameters)
                decision, self._decision = self._decision, None
                if decision is not None:
                    return decision
                connection.execute(BEGIN, (subject,))

    def peek(self, subject: str, windows: Sequence[Window], cost: int = 1) -> Decision:
        """Say what ``hit`` would, without counting."""
        require_countable(windows, cost)
        with _Turn(self) as connection:
            query = "SELECT state FROM counters WHERE subject = ?"
            row = connection.execute(query, (subject,)).fetchone()
        state = row[0] if row else b""
        return decide(state, windows, time_ns() // 1000, cost, counts=False)[0]

    def ping(self) -> None:
        self.hit("ping", (Window("ping", MAX_LIMIT, 1),))

    def sweep(self) -> int:
        """Forget subjects whose windows have all passed, a few at a time; return how many."""
        total = row = 0
        now = int(time())
        with _Turn(self) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        while True:
            with _Turn(self) as connection:
                rows = connection.execute(
                    "SELECT rowid, expires_at < ? FROM counters WHERE rowid > ?"
                    " ORDER BY rowid LIMIT ?",
                    (now, row, SWEEP_ROWS),
                ).fetchall()
                passed = [(rowid, now) for rowid, has_passed in rows if has_passed]
                connection.executemany(
                    "DELETE FROM counters WHERE rowid = ? AND expires_at < ?", passed
                )
            total += len(passed)
            if len(rows) < SWEEP_ROWS:
                return total
            row = rows[-1][0]

    def _decided(self, state: bytes) -> bytes:
        # Called by SQLite under the write lock, so that the clock is read in the order in
        # which times are written.
        now = time_ns() // 1000
        self._decision, state = decide(state, self._windows, now, self._cost, counts=True)
        return state

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        # A state is a few hundred bytes, and each request writes a whole page to the log.
        connection.execute("PRAGMA page_size=1024")
        connection.execute("PRAGMA journal_mode=WAL")
        # Safe against a crash of any process; a power cut may forget the last requests.
        connection.execute("PRAGMA synchronous=NORMAL")
        # The worker's sweep copies the log into the file; a request only if nobody else did.
        connection.execute(f"PRAGMA wal_autocheckpoint={MAX_LOG_PAGES}")
        connection.execute(SCHEMA)
        connection.create_function("decided", 1, self._decided)
        return connection

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._connection = None


class _Turn:
    """A thread's turn at the connection; what goes wrong in it leaves as the store's error."""

    __slots__ = ("_file",)

    def __init__(self, file: CounterFile) -> None:
        self._file = file

    def __enter__(self) -> sqlite3.Connection:
        file = self._file
        if file._connection is None:
            self._require_closed_breaker()
        if not file._lock.acquire(timeout=BUSY_SECONDS):
            raise counters_unavailable("the counter file is busy")
        try:
            if file._connection is None:
                # Whoever held the lock may have failed meanwhile.
                self._require_closed_breaker()
                file._connection = file._open()
        except CountersUnavailable:
            file._lock.release()
            raise
        except BaseException as error:
            self.__exit__(type(error), error)
            raise
        return file._connection

    def _require_closed_breaker(self) -> None:
        # Only without an open connection, which means that the last turn succeeded.
        if self._file._breaker.is_open:
            raise counters_unavailable("the counter file could not be used a moment ago")

    def __exit__(self, kind: Any, error: BaseException | None, *_: object) -> None:
        file = self._file
        if error is not None:
            # Opened again later: a file that was replaced or a disk that was full must not
            # need a restart.
            if file._connection is not None:
                file._connection.close()
                file._connection = None
            file._breaker.open()
        file._lock.release()
        if isinstance(error, sqlite3.Error):
            raise counters_unavailable(f"the counter file: {error}") from error
