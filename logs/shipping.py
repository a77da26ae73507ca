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
from pathlib import Path
from typing import Any

import orjson
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.utils import DataError, IntegrityError

from logs import usage
from logs.models import RequestContent, RequestLog
from logs.models.requests import SLOW_MICROSECONDS
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


class Shipper:
    """Ships a spool for as long as it holds the spool's lock: one process a host does."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._reader: Reader | None = None
        self._lock: int | None = None

    def ship(self) -> int:
        """Ship what is there; return how many records. Raises what the database raises."""
        reader = self._reader or self._begin()
        if reader is None:
            return 0
        total = 0
        for batch in reader.batches(BATCH_BYTES[connection.vendor]):
            total += self._take(batch)
            reader.done(batch)
        reader.note_progress()
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
            self._lock = self._reader = None

    def _begin(self) -> Reader | None:
        """Take the spool's lock; None while another process has it."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(self._folder / LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            return None
        self._lock, self._reader = lock, Reader(self._folder)
        return self._reader

    def _take(self, batch: Batch) -> int:
        records, unreadable = _parsed(batch.lines)
        for text in unreadable:
            self._set_aside(text, "it is no record")
        return self._store(records, is_new=batch.is_new)

    def _store(self, records: list[Record], *, is_new: bool) -> int:
        """Store records together; if the database refuses one, find out which."""
        if not records:
            return 0
        try:
            return store(records, is_new=is_new)
        except (DataError, IntegrityError, ValueError) as error:
            if is_new:
                return self._store(records, is_new=False)
            if len(records) == 1:
                self._set_aside(orjson.dumps(tuple(records[0])), str(error))
                return 0
            middle = len(records) // 2
            return sum(
                self._store(some, is_new=False) for some in (records[:middle], records[middle:])
            )

    def _set_aside(self, text: bytes, reason: str) -> None:
        logger.error("a request record was set aside in %s: %s", REJECTED, " ".join(reason.split()))
        with (self._folder / REJECTED).open("ab") as file:
            file.write(text + b"\n")


def store(records: Sequence[Record], *, is_new: bool) -> int:
    """Add what is not stored yet, with all that follows from it; return how many that were.

    ``is_new`` spares asking which are: if one is stored after all, the primary key refuses.
    """
    with transaction.atomic():
        rows = records if is_new else _unknown(records)
        if rows:
            # Made one by one, while the server takes in those before.
            _insert(RequestLog._meta.db_table, LOG_COLUMNS, map(_log_row, rows))
            _insert(RequestContent._meta.db_table, CONTENT_COLUMNS, map(_content_row, rows))
            usage.add(rows)
    return len(rows)


def _parsed(lines: Iterable[bytes]) -> tuple[list[Record], list[bytes]]:
    records, unreadable = [], []
    for text in lines:
        try:
            records.append(Record(*orjson.loads(text)))
        except (ValueError, TypeError, OverflowError):
            unreadable.append(text)
    return records, unreadable


def _log_row(record: Record) -> tuple[Any, ...]:
    return (
        record.id.replace("-", ""),
        usage.instant(record.at),
        record.environment,
        record.key,
        record.secret_version,
        record.customer and record.customer.replace("-", ""),
        record.job and record.job.replace("-", ""),
        record.permission,
        record.method,
        record.path,
        record.route,
        record.query,
        record.status,
        record.status // 100,
        record.code,
        max(record.duration, 0),
        record.duration >= SLOW_MICROSECONDS,
        record.request_bytes,
        record.response_bytes,
        record.address,
        record.user_agent,
    )


def _content_row(record: Record) -> tuple[Any, ...]:
    return (
        record.id.replace("-", ""),
        orjson.dumps(record.request_headers).decode(),
        orjson.dumps(record.response_headers).decode(),
        record.request_body,
        record.response_body,
        bool(record.cut & REQUEST_CUT),
        bool(record.cut & RESPONSE_CUT),
    )


def _unknown(records: Sequence[Record]) -> Sequence[Record]:
    """Return the records that are not stored, each once."""
    by_id = {record.id: record for record in records}
    ids = list(by_id)
    for start in range(0, len(ids), PARAMETERS):
        some = ids[start : start + PARAMETERS]
        for known in RequestLog.objects.filter(pk__in=some).values_list("pk", flat=True):
            del by_id[str(known)]
    return list(by_id.values())


def _insert(table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    names = ", ".join(f'"{column}"' for column in columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f'COPY "{table}" ({names}) FROM STDIN') as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            marks = ", ".join(["%s"] * len(columns))
            sql = f'INSERT INTO "{table}" ({names}) VALUES ({marks})'  # noqa: S608
            cursor.executemany(sql, list(rows))
