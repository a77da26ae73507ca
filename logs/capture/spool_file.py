"""A spool file, held open by its writer, which restores it if somebody else removes it.

The restored file has the same name and content, so the worker's offset stays valid. The worker
truncates a file before it removes it: a file that is gone and not empty was removed by others.
"""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

COPY_BYTES = 1024 * 1024
ATTEMPTS = 20


class SpoolFile:
    """A new file at ``path``, locked against the worker's removing it until it is left."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.written = 0
        self._is_left = False
        self._descriptor = -1
        self.restore()

    @property
    def is_linked(self) -> bool:
        return os.fstat(self._descriptor).st_nlink > 0

    @property
    def is_in_place(self) -> bool:
        """Whether the path names this file still: it is not removed, moved or replaced."""
        try:
            return os.path.samestat(self.path.stat(), self._status)
        except OSError:
            return False

    @property
    def is_missing(self) -> bool:
        """Whether somebody other than the worker has removed it."""
        # In this order, which is the worker's: it empties a file, then removes it.
        return not self.is_in_place and not (self._is_left and self.is_empty)

    @property
    def is_empty(self) -> bool:
        """Whether the file is empty, which means of a rotated file that it is shipped."""
        return os.fstat(self._descriptor).st_size == 0

    @property
    def is_closed(self) -> bool:
        """Whether its writer has closed it, which it does once it is shipped."""
        return self._descriptor < 0

    def append(self, data: bytes) -> None:
        written = os.write(self._descriptor, data)
        self.written += written
        if written != len(data):
            raise OSError("the disk is full")

    def restore(self) -> int:
        """Write the file anew in its place, and its folder if need be; return its bytes."""
        for _ in range(ATTEMPTS - 1):
            # The folder may be removed again in between.
            with suppress(FileNotFoundError):
                return self._restore()
        return self._restore()

    def _restore(self) -> int:
        self.path.parent.mkdir(mode=0o700, exist_ok=True)
        self._replace()
        return os.fstat(self._descriptor).st_size

    def leave(self) -> None:
        """Write no more: the worker may remove it once it is shipped."""
        self._is_left = True
        fcntl.flock(self._descriptor, fcntl.LOCK_UN)

    def close(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1

    def _replace(self) -> None:
        # Under another name, so that the worker cannot see it before it is locked and complete.
        fresh = self.path.with_suffix(".new")
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_EXCL
        descriptor = os.open(fresh, flags, 0o600)
        try:
            if self._descriptor >= 0:
                _copy(self._descriptor, descriptor)
            if not self._is_left:
                fcntl.flock(descriptor, fcntl.LOCK_SH)
            status = os.fstat(descriptor)
            fresh.rename(self.path)
        except BaseException:
            os.close(descriptor)
            fresh.unlink(missing_ok=True)
            raise
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._status = descriptor, status


def _copy(source: int, target: int) -> None:
    offset = 0
    while data := os.pread(source, COPY_BYTES, offset):
        if os.write(target, data) != len(data):
            raise OSError("the disk is full")
        offset += len(data)
