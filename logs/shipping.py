"""Brings records from the spool into the database, each exactly once.

One transaction takes a batch: its rows, last use of its keys, usage by the hour. Records name
themselves, so a batch that is read again after a crash finds its rows there and adds nothing.
A record that the database refuses is set aside, and holds up no other.
"""

import fcntl
import logging
import os
import threading
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import orjson
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.utils import DataError, IntegrityError

from logs import usage
from logs.models import RequestContent, RequestLog
from logs.record import REQUEST_CUT, RESPONSE_CUT, Record
from logs.spool import Batch, Reader

logger = logging.getLogger(__name__)

# How long the database's one writer is kept from others on SQLite: some 40 ms a batch.
BATCH_BYTES = {"sqlite": 512 * 1024, "postgresql": 4 * 1024 * 1024}
PARAMETERS = 500
REJECTED = "rejected.txt"
LOCK = "worker.lock"

LOG_COLUMNS = tuple(str(field.column) for field in RequestLog._meta.concrete_fields)
CONTENT_COLUMNS = tuple(str(field.column) for field in RequestContent._meta.concrete_fields)


class Shipped(NamedTuple):
    """A record and its rows."""

    record: Record
    at: datetime
    log: tuple[Any, ...]
    content: tuple[Any, ...]


class Shipper:
    """Ships a spool for as long as it holds the spool's lock: one process a host does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reader = Reader(folder)
        self._lock: int | None = None

    def ship(self) -> int:
        """Ship what is there; return how many records. Raises what the database raises."""
        if not self._may_ship():
            return 0
        total = 0
        for batch in self._reader.batches(BATCH_BYTES[connection.vendor]):
            total += self._take(batch)
            self._reader.done(batch)
        self._reader.note_progress()
        return total

    def run(self, stopping: threading.Event, *, every: float) -> None:
        """Ship again and again until ``stopping`` is set, and once more after."""
        while True:
            is_last = stopping.wait(every)
            try:
                self.ship()
            except (DatabaseError, InterfaceError, OSError) as error:
                logger.warning("shipping of request logs: %s", " ".join(str(error).split()))
                connection.close()
                stopping.wait(1.0)
            except Exception:
                logger.exception("shipping of request logs")
                stopping.wait(1.0)
            if is_last:
                connection.close()
                return

    def close(self) -> None:
        """Let another process ship."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _may_ship(self) -> bool:
        if self._lock is not None:
            return True
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return False
        self._lock = lock
        return True

    def _take(self, batch: Batch) -> int:
        records, unreadable = _parsed(batch.lines)
        for text in unreadable:
            self._set_aside(text, "it is no record")
        return self._store(records)

    def _store(self, records: list[Shipped]) -> int:
        """Store records together; if the database refuses one, find out which."""
        if not records:
            return 0
        try:
            return store(records)
        except (DataError, IntegrityError, ValueError) as error:
            if len(records) == 1:
                self._set_aside(orjson.dumps(records[0].record), str(error))
                return 0
            middle = len(records) // 2
            return self._store(records[:middle]) + self._store(records[middle:])

    def _set_aside(self, text: bytes, reason: str) -> None:
        logger.error("a request record was set aside in %s: %s", REJECTED, " ".join(reason.split()))
        with (self._folder / REJECTED).open("ab") as file:
            file.write(text + b"\n")


def store(records: Sequence[Shipped]) -> int:
    """Add what is not stored yet, with all that follows from it; return how many that were."""
    with transaction.atomic():
        known = _known([shipped.record.id for shipped in records])
        # By id: a batch that was written twice counts once.
        fresh = {s.record.id: s for s in records if UUID(s.record.id) not in known}
        if fresh:
            rows = list(fresh.values())
            _insert(RequestLog._meta.db_table, LOG_COLUMNS, [row.log for row in rows])
            _insert(RequestContent._meta.db_table, CONTENT_COLUMNS, [row.content for row in rows])
            usage.add([(row.record, row.at) for row in rows])
    return len(fresh)


def _parsed(lines: Iterable[bytes]) -> tuple[list[Shipped], list[bytes]]:
    records, unreadable = [], []
    for text in lines:
        try:
            records.append(_rows(Record(*orjson.loads(text))))
        except (ValueError, TypeError, OverflowError):
            unreadable.append(text)
    return records, unreadable


def _rows(record: Record) -> Shipped:
    at = datetime.fromtimestamp(record.at / 1_000_000, UTC)
    identifier = _database_id(record.id)
    log = (
        identifier,
        usage.instant(at),
        record.environment,
        record.key,
        record.secret_version,
        record.customer and _database_id(record.customer),
        record.job and _database_id(record.job),
        record.permission,
        record.method,
        record.path,
        record.route,
        record.query,
        record.status,
        record.status // 100,
        record.code,
        max(record.duration, 0),
        record.request_bytes,
        record.response_bytes,
        record.address,
        record.user_agent,
    )
    content = (
        identifier,
        orjson.dumps(record.request_headers).decode(),
        orjson.dumps(record.response_headers).decode(),
        record.request_body,
        record.response_body,
        bool(record.cut & REQUEST_CUT),
        bool(record.cut & RESPONSE_CUT),
    )
    return Shipped(record, at, log, content)


def _database_id(text: str) -> str:
    """Return an id as the database's driver takes it; raise ``ValueError`` for what is none."""
    plain = text.replace("-", "")
    if len(plain) != 32:
        raise ValueError(text)
    return plain


def _known(ids: Sequence[str]) -> set[UUID]:
    known: set[UUID] = set()
    for start in range(0, len(ids), PARAMETERS):
        some = ids[start : start + PARAMETERS]
        known.update(RequestLog.objects.filter(pk__in=some).values_list("pk", flat=True))
    return known


def _insert(table: str, columns: Sequence[str], rows: list[tuple[Any, ...]]) -> None:
    names = ", ".join(f'"{column}"' for column in columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            marks = ", ".join(["%s"] * len(columns))
            cursor.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', rows)  # noqa: S608
