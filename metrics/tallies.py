"""Numbers that a process adds to in its memory, and that every process of the host can read.

Each process maps a file of its own, which it holds a lock on. What it counted stays in the file
when it ends, and the next process to start takes the file over and goes on counting in it: so no
restart takes anything back, and there are never more files than processes at a time.
"""

import fcntl
import logging
import mmap
import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from itertools import count
from pathlib import Path

from django.conf import settings

logger = logging.getLogger(__name__)

# A row is a key, padded with zeros, and its numbers: 64 bits each, in the order of bytes of the
# machine. Name the files anew with every change of this.
SUFFIX = ".v1"
KEY_BYTES = 176
CELLS = 18
CELL_BYTES = 8
ROW_BYTES = KEY_BYTES + CELLS * CELL_BYTES
MAX_ROWS = 2_048
FILE_BYTES = MAX_ROWS * ROW_BYTES
FIRST_CELL, ROW_CELLS = KEY_BYTES // CELL_BYTES, ROW_BYTES // CELL_BYTES
# The last cell: what was observed, added up.
SUM = CELLS - 1
SEPARATOR = "\x1f"
# Counts what found no row: there are only so many, whatever is counted.
DROPPED = ("dropped",)

Key = tuple[str, ...]


class Tallies:
    """The numbers of this process, by key; safe for threads and across a fork."""

    def __init__(self) -> None:
        self._forget()
        # The child would add to the numbers of its parent, at the same time as it.
        os.register_at_fork(after_in_child=self._forget)

    def open(self) -> None:
        """Take a file before the first number, which would wait for the disk."""
        with self._lock:
            if not self._cells:
                self._open()

    def add(self, key: Key, amount: int = 1) -> None:
        with self._lock:
            row = self._rows.get(key)
            if row is None:
                row = self._new_row(key)
            self._cells[row] += amount

    def observe(self, counted: Key, observed: Key, bucket: int, amount: int) -> None:
        """Count one, and one in a bucket of another row, to whose sum ``amount`` is added."""
        with self._lock:
            rows, cells = self._rows, self._cells
            row = rows.get(counted)
            other = rows.get(observed)
            if row is None or other is None:
                row, other = self._new_row(counted), self._new_row(observed)
                cells = self._cells
            cells[row] += 1
            cells[other + bucket] += 1
            cells[other + SUM] += amount

    def _forget(self) -> None:
        self._lock = threading.Lock()
        self._rows: dict[Key, int] = {}
        self._used = 0
        self._cells = memoryview(b"").cast("Q")

    def _new_row(self, key: Key) -> int:
        if not self._cells:
            self._open()
        if key in self._rows:
            return self._rows[key]
        encoded = SEPARATOR.join(key).encode()
        if self._used >= MAX_ROWS or len(encoded) > KEY_BYTES:
            return self._rows[DROPPED]
        start = self._used * ROW_BYTES
        # The first byte last: whoever reads meanwhile sees the whole key or none.
        self._bytes[start + 1 : start + len(encoded)] = encoded[1:]
        self._bytes[start] = encoded[0]
        self._rows[key] = row = self._used * ROW_CELLS + FIRST_CELL
        self._used += 1
        return row

    def _open(self) -> None:
        try:
            content: mmap.mmap | bytearray = _take_file(settings.METRICS_FOLDER)
        except OSError as error:
            logger.error("metrics of this process cannot be read by others: %s", error)
            content = bytearray(FILE_BYTES)
        self._bytes = memoryview(content)
        self._cells = self._bytes.cast("Q")
        for key, _ in _rows(self._bytes):
            self._rows[key] = self._used * ROW_CELLS + FIRST_CELL
            self._used += 1
        if DROPPED not in self._rows:
            self._new_row(DROPPED)


def _take_file(folder: Path) -> mmap.mmap:
    """Map the first file that no process has."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for number in count():
        descriptor = os.open(folder / f"{number}{SUFFIX}", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            continue
        try:
            # A write to a page for which the disk has no room would end the process.
            os.posix_fallocate(descriptor, 0, FILE_BYTES)
            # Not closed: the lock lasts as long as the descriptor does.
            return mmap.mmap(descriptor, FILE_BYTES)
        except BaseException:
            os.close(descriptor)
            raise
    raise AssertionError


def _rows(content: memoryview) -> Iterator[tuple[Key, tuple[int, ...]]]:
    for start in range(0, len(content) - ROW_BYTES + 1, ROW_BYTES):
        if not content[start]:
            return
        middle, end = start + KEY_BYTES, start + ROW_BYTES
        key = bytes(content[start:middle]).rstrip(b"\0").decode(errors="replace")
        yield tuple(key.split(SEPARATOR)), tuple(content[middle:end].cast("Q"))


def read() -> dict[Key, list[int]]:
    """Return the numbers of all processes of this host, those that ended included, added up."""
    totals: dict[Key, list[int]] = defaultdict(lambda: [0] * CELLS)
    for path in settings.METRICS_FOLDER.glob(f"*{SUFFIX}"):
        try:
            content = path.read_bytes()
        except OSError:
            continue
        for key, numbers in _rows(memoryview(content)):
            total = totals[key]
            for cell, number in enumerate(numbers):
                total[cell] += number
    return totals


TALLIES = Tallies()
