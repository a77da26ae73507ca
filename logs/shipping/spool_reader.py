"""Reads the spool in batches of whole lines, and removes files that are shipped.

A file is removed once it is read to its end and has no writer. A batch counts as read once its
caller confirms it with ``done``.
"""

import fcntl
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from time import time
from typing import NamedTuple

import orjson

from logs.capture.spool import PROGRESS, files, size_of

logger = logging.getLogger(__name__)


class Start(NamedTuple):
    """How far a file is read, and where its next batch ends if that was fixed before."""

    offset: int
    fixed_to: int | None = None


class Reader:
    """Reads a spool's files; one process at a time.

    ``start`` says where to begin with a file that was not seen before: it may have been removed
    and restored.
    """

    def __init__(self, folder: Path, start: Callable[[str], Start] = lambda name: Start(0)) -> None:
        self._folder = folder
        self._start = start
        self._offsets: dict[str, int] = {}
        # Where the next batch of a file ends, whatever came in since it was read first.
        self._fixed_to: dict[str, int] = {}
        self._noted: dict[str, int] | None = None
        # Files that were removed, for whoever keeps their offsets.
        self.removed: list[str] = []

    def batches(self, max_bytes: int) -> Iterator["Batch"]:
        """Yield what is unread, a batch at a time; it counts as read once ``done`` is called."""
        self._remove_unlocked()
        for path in files(self._folder):
            name = path.name
            if name not in self._offsets:
                offset, fixed_to = self._start(name)
                self._offsets[name] = offset
                if fixed_to is not None and fixed_to > offset:
                    self._fixed_to[name] = fixed_to
            # What comes in meanwhile is for the next round: one busy file keeps none waiting.
            size_now = size_of(path)
            while self._offsets[name] < size_now:
                batch = self._read(path, max_bytes)
                if batch is None:
                    break
                yield batch
                if self._offsets[name] < batch.ends_at:
                    break  # not taken: try again later
            self._remove_if_left(path)

    def note_progress(self) -> None:
        """Leave others in the folder how far everything is read."""
        if self._offsets != self._noted:
            fresh = self._folder / f"{PROGRESS}.tmp"
            fresh.touch(mode=0o600)
            fresh.write_bytes(orjson.dumps(self._offsets))
            fresh.replace(self._folder / PROGRESS)
            self._noted = dict(self._offsets)

    @property
    def offsets(self) -> Mapping[str, int]:
        """How far each file is read."""
        return self._offsets

    def done(self, batch: "Batch") -> None:
        self._offsets[batch.path.name] = batch.ends_at
        self._fixed_to.pop(batch.path.name, None)

    def _remove_unlocked(self) -> None:
        for path in self._folder.glob("*.new"):
            with suppress(OSError):
                # Its writer died before it could lock it.
                if path.stat().st_mtime < time() - 60:
                    path.unlink()

    def _read(self, path: Path, max_bytes: int) -> "Batch | None":
        offset = self._offsets[path.name]
        fixed_to = self._fixed_to.get(path.name)
        if fixed_to is not None:
            max_bytes = fixed_to - offset
        try:
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read(max_bytes)
                # A record may be longer than a batch; a line is whole when its end is there.
                while data and b"\n" not in data and (more := file.read(max_bytes)):
                    data += more
        except (FileNotFoundError, NotADirectoryError):
            return None
        end = data.rfind(b"\n") + 1
        if not end:
            return None
        return Batch(path, data[: end - 1].split(b"\n"), offset, offset + end)

    def _remove_if_left(self, path: Path) -> None:
        """Remove a file that is read to its end and that nobody writes to any more."""
        try:
            file = os.open(path, os.O_RDWR)
        except (FileNotFoundError, NotADirectoryError):
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if not is_at(path, file):
                return
            offset = self._offsets[path.name]
            rest = os.pread(file, max(0, os.fstat(file).st_size - offset), offset)
            if b"\n" in rest:
                return
            if rest:
                # Its writer died within the line, before the answer was released.
                logger.warning("%s ended within a record of %d bytes", path.name, len(rest))
            # Emptied first: its writer sees by that that it is shipped.
            os.ftruncate(file, 0)
            path.unlink(missing_ok=True)
            self._offsets.pop(path.name)
            self._fixed_to.pop(path.name, None)
            self.removed.append(path.name)
        except BlockingIOError:
            return
        finally:
            os.close(file)


class Batch(NamedTuple):
    """Some lines of a file, and where they begin and end."""

    path: Path
    lines: list[bytes]
    begins_at: int
    ends_at: int


def is_at(path: Path, descriptor: int) -> bool:
    """Whether ``path`` names the file that is open as ``descriptor``."""
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except (FileNotFoundError, NotADirectoryError):
        return False
