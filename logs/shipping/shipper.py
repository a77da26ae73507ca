"""Moves records from the spool into the database, each exactly once.

One transaction stores a batch's rows, its keys' last use, hourly usage and the file offset, so
after a crash nothing is added twice. A record that the database refuses is set aside.
"""

import fcntl
import logging
import os
import re
import threading
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import orjson
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connection, transaction

from database.connections.postgresql import connect
from logs import metrics
from logs.capture.record import REQUEST_CUT, RESPONSE_CUT, Record
from logs.models import RequestContent, RequestLog, SpoolPosition
from logs.models.requests import SLOW_MICROSECONDS
from logs.shipping import networks, usage
from logs.shipping.spool_reader import Batch, Reader, is_at

logger = logging.getLogger(__name__)

# How long the database's one writer is kept from others on SQLite: some 40 ms a batch.
BATCH_BYTES = {"sqlite": 512 * 1024, "postgresql": 4 * 1024 * 1024}
PARAMETERS = 500
SHIP_SECONDS = 0.2
REJECTED = "rejected.txt"
MAX_REJECTED_BYTES = 16 * 1024 * 1024
LOCK = "worker.lock"

# The form of ``database.uuid7``; parsing with ``UUID`` would take ten times as long.
IDENTIFIER = re.compile("[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

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
        if self._lock is not None and not is_at(self._folder / LOCK, self._lock):
            logger.error("the lock file of the spool was removed: shipping starts over")
            self.close()
        reader = self._reader or self._begin()
        if reader is None:
            return 0
        total = 0
        try:
            for batch in reader.batches(BATCH_BYTES[connection.vendor]):
                taken = self._take(batch)
                metrics.SHIPPED.add(amount=taken)
                total += taken
                reader.done(batch)
                reader.note_progress()
        except BaseException:
            # The batch may have been committed or not: read the offset again.
            self._reader = None
            raise
        if reader.removed:
            SpoolPosition.objects.filter(pk__in=reader.removed).delete()
            reader.removed.clear()
        reader.note_progress()
        return total

    def run(self, stopping: threading.Event, *, every: float) -> None:
        """Ship again and again until ``stopping`` is set, and once more after."""
        while True:
            is_last = stopping.wait(every)
            try:
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

    def _begin(self) -> Reader | None:
        """Take the spool's lock and begin where the database is; None while another has it."""
        if self._lock is None and not self._take_lock():
            return None
        self._reader = Reader(self._folder, _stored_offset)
        return self._reader

    def _take_lock(self) -> bool:
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
        position = SpoolPosition(file=batch.path.name, offset=batch.ends_at)
        try:
            return store(records, position)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a record does, the others are stored
            logger.warning("a batch of request records is stored one by one: %s", error)
        stored = self._store_apart(records)
        store([], position)
        return stored

    def _store_apart(self, records: list[Record]) -> int:
        """Store what can be stored; find out which records cannot, and set those aside."""
        try:
            return store(_unknown(records))
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - as above
            if len(records) == 1:
                self._set_aside(orjson.dumps(tuple(records[0]), default=str), str(error))
                return 0
        middle = len(records) // 2
        return self._store_apart(records[:middle]) + self._store_apart(records[middle:])

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
    with closing(Shipper(settings.LOG_SPOOL)) as shipper:
        shipper.run(stopping, every=SHIP_SECONDS)


def _stored_offset(name: str) -> int:
    offsets = SpoolPosition.objects.filter(pk=name).values_list("offset", flat=True)
    return offsets.first() or 0


def store(rows: Sequence[Record], position: SpoolPosition | None = None) -> int:
    """Add records with all that follows from them, and how far their file is read with that.

    Return how many they are. Raises what the database raises, and then nothing is added.
    """
    with transaction.atomic():
        if rows:
            # Generated lazily, while the server receives the rows before.
            _insert(RequestLog._meta.db_table, LOG_COLUMNS, map(_log_row, rows))
            _insert(RequestContent._meta.db_table, CONTENT_COLUMNS, map(_content_row, rows))
            usage.add(rows)
            networks.add(rows)
        if position is not None:
            SpoolPosition.objects.bulk_create(
                [position], update_conflicts=True, unique_fields=["file"], update_fields=["offset"]
            )
    return len(rows)


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


def _log_row(record: Record) -> tuple[Any, ...]:
    return (
        record.id.replace("-", ""),
        usage.timestamp(record.at),
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
        record.kind,
        record.service or None,
        record.host or None,
        record.caller,
        record.phases,
        record.trace,
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
    by_id = {record.id: record for record in records}
    ids = list(by_id)
    for start in range(0, len(ids), PARAMETERS):
        some = ids[start : start + PARAMETERS]
        for known in RequestLog.objects.filter(pk__in=some).values_list("pk", flat=True):
            by_id.pop(str(known), None)
    return list(by_id.values())


def _insert(table: str, columns: Sequence[str], rows: Iterable[tuple[Any, ...]]) -> None:
    names = ", ".join(f'"{column}"' for column in columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # What the driver raises within a COPY, Django would let through as it is.
            copying = cursor.copy(f'COPY "{table}" ({names}) FROM STDIN')
            with connection.wrap_database_errors, copying as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            marks = ", ".join(["%s"] * len(columns))
            sql = f'INSERT INTO "{table}" ({names}) VALUES ({marks})'  # noqa: S608
            cursor.executemany(sql, list(rows))
