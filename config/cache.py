"""Django's cache in a SQLite file: shared by all processes of a host, atomic, kept on restart.

Django's own backends without a server are not shared (memory) or do not count atomically
(file, database); django-ratelimit needs both. Entries are few: login counters and the admin's
search results.
"""

import pickle
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

# A page is at stake, and a page may wait (config/databases.py).
BUSY_SECONDS = 5.0
SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value BLOB, expires_at REAL)
"""


class FileCache(BaseCache):
    """A cache in the file at ``LOCATION``. Numbers are stored as such and count in place."""

    def __init__(self, location: str, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._location = location

    def add(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """Store ``value`` unless there is one; say whether it was stored."""
        with self._connected() as connection:
            self._drop_expired(connection)
            cursor = connection.execute(
                "INSERT INTO entries VALUES (?, ?, ?) ON CONFLICT (key) DO NOTHING",
                (self._name(key, version), _dump(value), self.get_backend_timeout(timeout)),
            )
            return cursor.rowcount == 1

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        with self._connected() as connection:
            row = connection.execute(
                "SELECT value FROM entries"
                " WHERE key = ? AND (expires_at > ? OR expires_at IS NULL)",
                (self._name(key, version), time.time()),
            ).fetchone()
        return default if row is None else _load(row[0])

    def set(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        with self._connected() as connection:
            self._drop_expired(connection)
            connection.execute(
                "INSERT OR REPLACE INTO entries VALUES (?, ?, ?)",
                (self._name(key, version), _dump(value), self.get_backend_timeout(timeout)),
            )

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        """Let an entry live on; say whether there is one."""
        with self._connected() as connection:
            cursor = connection.execute(
                "UPDATE entries SET expires_at = ? WHERE key = ?",
                (self.get_backend_timeout(timeout), self._name(key, version)),
            )
            return cursor.rowcount == 1

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Add to a number in one statement; raise ``ValueError`` if there is none."""
        with self._connected() as connection:
            row = connection.execute(
                "UPDATE entries SET value = value + ?"
                " WHERE key = ? AND expires_at > ? AND typeof(value) = 'integer' RETURNING value",
                (delta, self._name(key, version), time.time()),
            ).fetchone()
        if row is None:
            raise ValueError(f"There is no number under {key!r}.")
        return int(row[0])

    def delete(self, key: Any, version: int | None = None) -> bool:
        """Remove an entry; say whether there was one."""
        with self._connected() as connection:
            cursor = connection.execute(
                "DELETE FROM entries WHERE key = ?", (self._name(key, version),)
            )
            return cursor.rowcount == 1

    def clear(self) -> None:
        with self._connected() as connection:
            connection.execute("DELETE FROM entries")

    def get_backend_timeout(self, timeout: Any = DEFAULT_TIMEOUT) -> float | None:
        """Return the timestamp at which an entry expires, None for never."""
        ends_at: float | None = super().get_backend_timeout(timeout)
        return ends_at

    def _name(self, key: Any, version: int | None) -> str:
        return str(self.make_and_validate_key(key, version=version))

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        # Opened for each use: that costs little next to a login and is safe in any thread.
        try:
            connection = self._open()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            # The file is damaged; everything in a cache can be recomputed.
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self._location}{suffix}").unlink(missing_ok=True)
            connection = self._open()
        with closing(connection):
            yield connection

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._location, timeout=BUSY_SECONDS, isolation_level=None)
        ends_at = time.monotonic() + BUSY_SECONDS
        while True:
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute(SCHEMA)
                return connection
            except sqlite3.Error as error:
                # Switching a new file to WAL ignores busy_timeout, so retry.
                is_locked = isinstance(error, sqlite3.OperationalError)
                if not is_locked or time.monotonic() > ends_at:
                    connection.close()
                    raise
            time.sleep(0.005)

    @staticmethod
    def _drop_expired(connection: sqlite3.Connection) -> None:
        connection.execute("DELETE FROM entries WHERE expires_at <= ?", (time.time(),))


def _dump(value: Any) -> int | bytes:
    return value if type(value) is int else pickle.dumps(value, pickle.HIGHEST_PROTOCOL)


def _load(stored: int | bytes) -> Any:
    # The file is ours: made in a folder that only the owner of the service may enter.
    return stored if isinstance(stored, int) else pickle.loads(stored)  # noqa: S301
