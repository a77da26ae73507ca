"""The spool: request records on disk, one line each, until they are in the database.

A web process appends to its own file under a shared lock. The worker ships the records and
removes a file once it gets the exclusive lock, when the writer has rotated or died. Records
survive the death of either process, and the removal of the folder while the writer lives.
"""

import logging
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic, sleep, time
from typing import NamedTuple

import orjson

from database.circuit_breaker import CircuitBreaker
from database.uuid7 import new_id
from logs.capture.durability import Acknowledgements
from logs.capture.spool_file import SpoolFile

logger = logging.getLogger(__name__)

SUFFIX = ".ndjson"
# A file is left for the next at this size, so that shipped ones can go.
ROTATE_BYTES = 4 * 1024 * 1024
MIN_ROTATE_BYTES = 4096
MEASURE_SECONDS = 1.0
WATCH_SECONDS = 0.25
ATTEMPTS = 5
PROGRESS = "worker.progress"
RESTORED = "restored"
PROBE_BYTES = 4096


class SpoolUnavailable(Exception):
    """The record cannot be written, so the request must not be answered."""


class Spool:
    """Appends records; safe for threads, one per process of ``processes``."""

    def __init__(
        self,
        folder: Path,
        max_bytes: int,
        *,
        processes: int = 1,
        acknowledgements: Acknowledgements | None = None,
    ) -> None:
        """With ``acknowledgements`` a record is written once the worker has stored it."""
        self._folder = folder
        self._acknowledgements = acknowledgements
        self._max_bytes = max_bytes
        # Shipped records are freed by whole files, so a file is a small share of the limit.
        share = max_bytes // (4 * processes)
        self._rotate_bytes = max(MIN_ROTATE_BYTES, min(ROTATE_BYTES, share))
        self._lock = threading.Lock()
        self._file: SpoolFile | None = None
        # Rotated files that may not be shipped yet.
        self._rotated: list[SpoolFile] = []
        self._measure_at = 0.0
        self._is_full = False
        self._is_broken = False
        self._breaker = CircuitBreaker()
        os.register_at_fork(after_in_child=self._forget)

    @property
    def has_room(self) -> bool:
        """Whether a record can be written; checked before a request has any effect."""
        now = monotonic()
        if now >= self._measure_at:
            self._measure_at = now + MEASURE_SECONDS
            was_full, self._is_full = self._is_full, size(self._folder) >= self._max_bytes
            if self._is_full and not was_full:
                logger.error("the request log's spool is full: requests are refused")
        # The breaker opens only where there is no file, or where one could not be restored.
        is_failing = self._file is None or self._is_broken
        if self._is_full or (is_failing and self._breaker.is_open):
            return False
        return self._acknowledgements is None or self._acknowledgements.keep_up

    def open(self) -> None:
        """Make this process's file before the first record."""
        with self._lock:
            if self._file is None:
                self._rotate()

    def append(self, record: bytes, arrived_at: float | None = None) -> None:
        """Write the record of a request, which arrived then (``time.monotonic``)."""
        with self._lock:
            file = self._append(record)
            if self._acknowledgements is None:
                return
            ticket = self._acknowledgements.expect(file, file.written)
        if not self._acknowledgements.wait(ticket, arrived_at):
            raise SpoolUnavailable("the worker has not stored it in time")

    def _append(self, record: bytes) -> SpoolFile:
        try:
            file = self._file
            if file is None or file.written >= self._rotate_bytes:
                file = self._rotate()
            file.append(record + b"\n")
        except OSError as error:
            # The next record goes to a new file, so half a line stays the last one of this.
            self._leave()
            self._breaker.open()
            raise SpoolUnavailable(str(error)) from error
        # Checked after the write: a file that was removed before it is restored before the
        # response leaves; ``watch`` restores one that is removed afterwards.
        for _ in range(ATTEMPTS):
            if file.is_linked:
                return file
            # Only this file: ``watch`` restores the others, which may hold megabytes.
            self._report([self._restore(file)])
        raise SpoolUnavailable("the spool is removed again and again")

    def check(self) -> None:
        """Restore files that were removed, and close those that are shipped.

        Raises ``SpoolUnavailable`` if a file cannot be restored; ``has_room`` is False until it is.
        """
        sizes = []
        with self._lock:
            rotated = list(self._rotated)
            if self._file is not None and self._file.is_missing:
                sizes.append(self._restore(self._file))
        # Not locked: nobody writes to these, and requests need not wait for the copies.
        sizes += [self._restore(file) for file in rotated if file.is_missing]
        with self._lock:
            self._report(sizes)
            for file in [file for file in self._rotated if file.is_empty]:
                file.close()
                self._rotated.remove(file)

    def watch(self) -> None:
        """Check for as long as the process runs, so that an idle process restores files too."""
        while True:
            sleep(WATCH_SECONDS)
            try:
                self.check()
            except SpoolUnavailable:
                continue
            except Exception:
                logger.exception("the request log's spool")

    def _rotate(self) -> SpoolFile:
        file = SpoolFile(self._folder / f"{new_id()}{SUFFIX}")
        self._leave()
        self._file = file
        return file

    def _leave(self) -> None:
        if self._file is not None:
            self._file.leave()
            self._rotated.append(self._file)
            self._file = None

    def _restore(self, file: SpoolFile) -> int:
        try:
            size = file.restore()
            (self._folder / RESTORED).touch(mode=0o600)
        except OSError as error:
            if not self._is_broken:
                logger.error("the request log's spool is gone, and requests are refused: %s", error)
            self._is_broken = True
            self._breaker.open()
            raise SpoolUnavailable(str(error)) from error
        return size

    def _report(self, sizes: list[int]) -> None:
        self._is_broken = False
        if sizes:
            logger.error(
                "%d of the request log's files were removed from %s by another program:"
                " restored, %d bytes",
                len(sizes), self._folder, sum(sizes),
            )  # fmt: skip

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._file, self._rotated = None, []


def files(folder: Path) -> list[Path]:
    try:
        paths = sorted(folder.iterdir())
    except OSError:
        # Missing or unreadable: the next append reports it.
        return []
    return [path for path in paths if path.suffix == SUFFIX]


def can_write(folder: Path) -> bool:
    probe = folder / f"{os.getpid()}.probe"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        probe.write_bytes(b"x" * PROBE_BYTES)
        probe.unlink()
    except OSError:
        return False
    return True


def restored_at(folder: Path) -> datetime | None:
    """Return when removed files were last restored, None if never."""
    try:
        return datetime.fromtimestamp((folder / RESTORED).stat().st_mtime, UTC)
    except OSError:
        return None


def size(folder: Path) -> int:
    return sum(size_of(path) for path in files(folder))


def size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


class Backlog(NamedTuple):
    """Bytes in the spool, bytes not shipped yet, and the age of the oldest of these."""

    total_bytes: int
    unshipped_bytes: int
    lag_seconds: float


def backlog(folder: Path) -> Backlog:
    try:
        offsets = orjson.loads((folder / PROGRESS).read_bytes())
    except (OSError, ValueError):
        offsets = {}
    total = unshipped = 0
    oldest: float | None = None
    for path in files(folder):
        offset = offsets.get(path.name, 0)
        file_bytes = size_of(path)
        total += file_bytes
        unshipped += max(0, file_bytes - offset)
        if file_bytes > offset and oldest is None:
            oldest = _time_at(path, offset)
    return Backlog(total, unshipped, round(max(0.0, time() - oldest), 1) if oldest else 0.0)


def _time_at(path: Path, offset: int) -> float | None:
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return float(orjson.loads(file.readline())[1]) / 1_000_000
    except (OSError, ValueError, IndexError):
        return None
