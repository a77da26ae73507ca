"""The spool: request records on disk, one line each, on their way to the database.

A web process appends to a file of its own and holds a shared lock on it for as long as it
may. The worker ships what is there; it removes a file once it can lock it alone, which means
that its writer has moved on or died. What was written survives the death of either.
"""

import fcntl
import logging
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from time import monotonic, time
from typing import NamedTuple, NoReturn

import orjson

from apikeys.identifiers import new_id
from apikeys.pause import Pause

logger = logging.getLogger(__name__)

SUFFIX = ".ndjson"
# A file is left for the next at this size, so that shipped ones can go.
ROTATE_BYTES = 4 * 1024 * 1024
LEAST_ROTATE_BYTES = 4096
MEASURE_SECONDS = 1.0
PROGRESS = "worker.progress"
PROBE_BYTES = 4096


class SpoolUnavailable(Exception):
    """A record cannot be kept, so the request cannot be answered."""


class Spool:
    """Appends records; safe for threads, one per process of ``processes``."""

    def __init__(self, folder: Path, most_bytes: int, *, processes: int = 1) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        # What is shipped goes with its file: all files together must leave room for more.
        share = most_bytes // (4 * processes)
        self._rotate_bytes = max(LEAST_ROTATE_BYTES, min(ROTATE_BYTES, share))
        self._lock = threading.Lock()
        self._file = -1
        self._written = 0
        self._measure_at = 0.0
        self._is_full = False
        self._pause = Pause()
        os.register_at_fork(after_in_child=self._forget)

    @property
    def has_room(self) -> bool:
        """Whether a record can be kept; asked before a request has any effect."""
        now = monotonic()
        if now >= self._measure_at:
            self._measure_at = now + MEASURE_SECONDS
            was_full, self._is_full = self._is_full, size(self._folder) >= self._most_bytes
            if self._is_full and not was_full:
                logger.error("the request log's spool is full: requests are refused")
        return not (self._is_full or self._pause.is_on)

    def append(self, record: bytes) -> None:
        """Write one record, a line without its end; raise ``SpoolUnavailable`` if it cannot be."""
        with self._lock:
            try:
                if self._file < 0 or self._written >= self._rotate_bytes:
                    self._rotate()
                data = record + b"\n"
                written = os.write(self._file, data)
            except OSError as error:
                self._fail(str(error))
            if written != len(data):
                self._fail("the disk is full")
            self._written += written

    def _rotate(self) -> None:
        if self._file >= 0:
            # Releases the lock: from now on the worker may remove the file.
            os.close(self._file)
            self._file = -1
        self._folder.mkdir(mode=0o700, exist_ok=True)
        path = self._folder / f"{new_id()}{SUFFIX}"
        # Made under another name: the worker must not find it before it is locked.
        fresh = path.with_suffix(".new")
        file = os.open(fresh, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o600)
        fcntl.flock(file, fcntl.LOCK_SH)
        fresh.rename(path)
        self._file, self._written = file, 0

    def _fail(self, reason: str) -> NoReturn:
        # What was half written ends where the next file begins.
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        self._pause.start()
        raise SpoolUnavailable(reason)

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._file = -1


def files(folder: Path) -> list[Path]:
    """Return the files of a spool, oldest first."""
    try:
        found = sorted(folder.iterdir())
    except OSError:
        # None yet, or none that can be read: whoever appends finds out.
        return []
    return [path for path in found if path.suffix == SUFFIX]


def can_write(folder: Path) -> bool:
    """Whether a record could be written now; tries it."""
    probe = folder / f"{os.getpid()}.probe"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe.write_bytes(b"x" * PROBE_BYTES)
        probe.unlink()
    except OSError:
        return False
    return True


def size(folder: Path) -> int:
    """Return the bytes a spool takes."""
    return sum(_size(path) for path in files(folder))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class Backlog(NamedTuple):
    """What a spool holds: all bytes, those not shipped yet, and the age of the oldest of them."""

    total_bytes: int
    unshipped_bytes: int
    lag_seconds: float


def backlog(folder: Path) -> Backlog:
    """Return how far shipping is behind."""
    try:
        offsets = orjson.loads((folder / PROGRESS).read_bytes())
    except (OSError, ValueError):
        offsets = {}
    total = unshipped = 0
    oldest: float | None = None
    for path in files(folder):
        offset = offsets.get(path.name, 0)
        taken = _size(path)
        total += taken
        unshipped += max(0, taken - offset)
        if taken > offset and oldest is None:
            oldest = _time_at(path, offset)
    return Backlog(total, unshipped, round(max(0.0, time() - oldest), 1) if oldest else 0.0)


def _time_at(path: Path, offset: int) -> float | None:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return float(orjson.loads(file.readline())[1]) / 1_000_000
    except (OSError, ValueError, IndexError):
        return None


class Reader:
    """Reads a spool's files from ``offsets`` on; one process at a time."""

    def __init__(self, folder: Path, offsets: Mapping[str, int] | None = None) -> None:
        self._folder = folder
        self._offsets = dict(offsets or {})
        self._noted: dict[str, int] | None = None
        # Files that were removed, for whoever keeps their offsets.
        self.removed: list[str] = []

    def batches(self, most_bytes: int) -> Iterator["Batch"]:
        """Yield what is unread, a batch at a time; it counts as read once ``done`` is called."""
        for path in self._folder.glob("*.new"):
            # Its writer died before it could lock it.
            if path.stat().st_mtime < time() - 60:
                path.unlink(missing_ok=True)
        for path in files(self._folder):
            # What comes in meanwhile is for the next round: one busy file keeps none waiting.
            size_now = _size(path)
            while self._offsets.get(path.name, 0) < size_now:
                batch = self._read(path, most_bytes)
                if batch is None:
                    break
                yield batch
                if self._offsets.get(path.name, 0) < batch.ends_at:
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

    def done(self, batch: "Batch") -> None:
        """Count a batch as read."""
        self._offsets[batch.path.name] = batch.ends_at

    def _read(self, path: Path, most_bytes: int) -> "Batch | None":
        offset = self._offsets.get(path.name, 0)
        try:
            with path.open("rb") as file:
                file.seek(offset)
                data = file.read(most_bytes)
                # A record may be longer than a batch; a line is whole when its end is there.
                while data and b"\n" not in data and (more := file.read(most_bytes)):
                    data += more
        except FileNotFoundError:
            return None
        end = data.rfind(b"\n") + 1
        if not end:
            return None
        return Batch(path, data[: end - 1].split(b"\n"), offset + end)

    def _remove_if_left(self, path: Path) -> None:
        """Remove a file that is read to its end and that nobody writes to any more."""
        try:
            file = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            unread = os.fstat(file).st_size - self._offsets.get(path.name, 0)
            rest = os.pread(file, unread, self._offsets.get(path.name, 0)) if unread else b""
            if b"\n" in rest:
                return
            if rest:
                # Its writer died within the line, before the answer was released.
                logger.warning("%s ended within a record of %d bytes", path.name, len(rest))
            path.unlink()
            self._offsets.pop(path.name, None)
            self.removed.append(path.name)
        except BlockingIOError:
            return
        finally:
            os.close(file)


class Batch(NamedTuple):
    """Some lines of a file, and where they end."""

    path: Path
    lines: list[bytes]
    ends_at: int
