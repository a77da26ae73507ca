"""Moves records from the spool into the log store, each exactly once (``logs.stores``).

A record that the store refuses is set aside.
"""

import fcntl
import logging
import os
import re
import threading
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import orjson
from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection

from database import deadline
from database.connections.postgresql import connect
from logs import metrics
from logs.capture.durability import SOCKET, STORE, Announcer
from logs.capture.record import Record
from logs.models import SpoolPosition
from logs.shipping.spool_reader import Batch, Reader, is_at
from logs.stores import log_store

logger = logging.getLogger(__name__)

# How long storing a batch may take where requests wait for it.
ANNOUNCED_SECONDS = 7.0
REJECTED = "rejected.txt"
MAX_REJECTED_BYTES = 16 * 1024 * 1024
LOCK = "worker.lock"

# The form of ``database.uuid7``; parsing with ``UUID`` would take ten times as long.
IDENTIFIER = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Shipper:
    """Ships a spool for as long as it holds the spool's lock: one process a host does."""

    def __init__(self, folder: Path, *, is_announced: bool = False) -> None:
        """Say to web processes what is stored if that ``is_announced``."""
        self._folder = folder
        self._reader: Reader | None = None
        self._lock: int | None = None
        self._is_announced = is_announced
        self._announcer: Announcer | None = None

    def ship(self) -> int:
        """Ship what is there; return how many records. Raises what the store raises."""
        if self._lock is not None and not self._is_in_place(self._lock):
            logger.error(
                "the lock file of the spool was removed, or its socket: shipping starts over"
            )
            self.close()
        reader = self._reader or self._begin()
        if reader is None:
            return 0
        total = 0
        try:
            for batch in reader.batches(log_store().batch_bytes):
                taken = self._take(batch)
                metrics.SHIPPED.add(amount=taken)
                total += taken
                reader.done(batch)
                self._note_progress(reader)
        except BaseException:
            # The batch may have been committed or not: read the offset again.
            self._reader = None
            raise
        if reader.removed:
            SpoolPosition.objects.filter(pk__in=reader.removed).delete()
            reader.removed.clear()
        self._note_progress(reader)
        return total

    def run(self, stopping: threading.Event, *, every: float) -> None:
        """Ship again and again until ``stopping`` is set, and once more after."""
        while True:
            is_last = False
            try:
                is_last = self._wait(stopping, every)
                connect(connection)
                self.ship()
            except (DatabaseError, InterfaceError, OSError) as error:
                logger.warning("shipping of request logs: %s", " ".join(str(error).split()))
                connection.close()
                stopping.wait(1.0)
            except Exception:
                logger.exception("shipping of request logs")
                connection.close()
                stopping.wait(1.0)
            if is_last:
                connection.close()
                return

    def close(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = self._reader = None
        if self._announcer is not None:
            self._announcer.close()
            self._announcer = None

    def _is_in_place(self, lock: int) -> bool:
        """Whether nobody removed what others find this worker by."""
        is_found = self._announcer is None or (self._folder / SOCKET).is_socket()
        return is_found and is_at(self._folder / LOCK, lock)

    def _wait(self, stopping: threading.Event, seconds: float) -> bool:
        """Wait for a record, or for so long; say whether to stop."""
        if self._announcer is None:
            return stopping.wait(seconds)
        self._announcer.wait(seconds)
        return stopping.is_set()

    def _note_progress(self, reader: Reader) -> None:
        # First: requests wait for it, and the file may find no room.
        if self._announcer is not None:
            self._announcer.say(reader.offsets)
        reader.note_progress()

    def _begin(self) -> Reader | None:
        """Take the spool's lock and begin where the store is; None while another has it."""
        if self._lock is None and not self._take_lock():
            return None
        log_store().prepare()
        self._reader = Reader(self._folder, log_store().start)
        return self._reader

    def _take_lock(self) -> bool:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        if self._is_announced:
            try:
                self._announcer = Announcer(self._folder / SOCKET)
            except OSError:
                os.close(lock)
                raise
        self._lock = lock
        return True

    def _take(self, batch: Batch) -> int:
        records, unreadable = _parsed(batch.lines)
        for text in unreadable:
            self._set_aside(text, "it is no record")
        if self._announcer is None:
            return log_store().add(batch, records, self._set_aside)
        # Requests wait for this, and there may be another server by then.
        with deadline.running(ANNOUNCED_SECONDS):
            return log_store().add(batch, records, self._set_aside)

    def _set_aside(self, text: bytes, reason: str) -> None:
        logger.error("a request record was set aside in %s: %s", REJECTED, " ".join(reason.split()))
        metrics.REJECTED.add()
        path = self._folder / REJECTED
        if path.exists() and path.stat().st_size > MAX_REJECTED_BYTES:
            path.replace(path.with_suffix(".old.txt"))
        path.touch(mode=0o600)
        with path.open("ab") as file:
            file.write(text + b"\n")


def run(stopping: threading.Event) -> None:
    """Ship this host's spool until ``stopping`` is set, and what came till then."""
    is_announced = settings.LOG_DURABILITY == STORE
    with closing(Shipper(settings.LOG_SPOOL, is_announced=is_announced)) as shipper:
        shipper.run(stopping, every=log_store().ship_seconds)


def _parsed(lines: Iterable[bytes]) -> tuple[list[Record], list[bytes]]:
    records, unreadable = [], []
    for text in lines:
        try:
            record = Record(*orjson.loads(text))
            if not IDENTIFIER.fullmatch(record.id):
                raise ValueError(record.id)
            records.append(record)
        except (ValueError, TypeError, AttributeError, OverflowError):
            unreadable.append(text)
    return records, unreadable
