"""Turns at a lock, in the order in which they were asked for, among processes and threads.

SQLite lets writers poll for its write lock at growing intervals. Whoever has waited longest asks
least often, so under load a request can miss every turn until its time is up. Here a waiter locks
one byte of a file beside the database, at the offset of the clock, and goes ahead when no byte
before its own is locked. The kernel frees the bytes of a process that dies.

This keeps order only: SQLite's own lock still keeps writers apart.
"""

import errno
import fcntl
import os
import struct
from pathlib import Path
from time import monotonic, monotonic_ns, sleep

POLL_SECONDS = 0.0005
# Linux has locks that belong to an open file; elsewhere everybody goes ahead at once.
IS_SUPPORTED = hasattr(fcntl, "F_OFD_SETLK")
# struct flock: type, whence, start, length, process.
FLOCK = struct.Struct("hhqqi0q")


class Queue:
    """A place in the queue for ``database``, which all who write to that file share."""

    def __init__(self, database: Path) -> None:
        # Whoever opens the file by another path, a link, waits in the same queue.
        database = database.resolve()
        owner = database.stat()
        path = database.with_name(f"{database.name}-queue")
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, owner.st_mode & 0o666)
        # Closed with the last reference to it, and the place is then free.
        self._file = os.fdopen(descriptor, "r+b", buffering=0)
        if os.geteuid() == 0:
            # As SQLite does: a command that root runs must not shut the service out.
            os.fchown(descriptor, owner.st_uid, owner.st_gid)
        self._place: int | None = None

    def wait(self, seconds: float) -> bool:
        """Take a place and wait for its turn; say whether it came in time.

        The place is kept either way, until ``leave``.
        """
        if not IS_SUPPORTED:
            return True
        self._place = self._take_place()
        ends_at = monotonic() + seconds
        while self._is_behind():
            if monotonic() > ends_at:
                return False
            sleep(POLL_SECONDS)
        return True

    def leave(self) -> None:
        if self._place is not None:
            self._lock(fcntl.F_OFD_SETLK, fcntl.F_UNLCK, self._place, 1)
            self._place = None

    def close(self) -> None:
        self._place = None
        self._file.close()

    def _take_place(self) -> int:
        while True:
            place = monotonic_ns()
            try:
                self._lock(fcntl.F_OFD_SETLK, fcntl.F_WRLCK, place, 1)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
                # Somebody took a place in the same nanosecond.
            else:
                return place

    def _is_behind(self) -> bool:
        """Say whether anybody came before and has not left."""
        lock = self._lock(fcntl.F_OFD_GETLK, fcntl.F_WRLCK, 0, self._place or 0)
        return bool(FLOCK.unpack(lock)[0] != fcntl.F_UNLCK)

    def _lock(self, command: int, kind: int, start: int, length: int) -> bytes:
        return fcntl.fcntl(self._file, command, FLOCK.pack(kind, os.SEEK_SET, start, length, 0))
