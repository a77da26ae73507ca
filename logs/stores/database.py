"""The request log in the installation's own database, SQLite or PostgreSQL.

One transaction stores a batch's rows, its keys' last use, hourly usage and the file offset, so
after a crash nothing is added twice.
"""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from django.db import InterfaceError, OperationalError, connection, transaction

from logs.capture.record import REQUEST_CUT, RESPONSE_CUT, Record
from logs.models import RequestContent, RequestLog, SpoolPosition
from logs.models.requests import SLOW_MICROSECONDS
from logs.partitions.catalogue import waited_for
from logs.shipping import networks, usage
from logs.shipping.spool_reader import Batch, Start
from logs.stores import LogStore, Rows, SetAside
from logs.walks import Walk, walk

logger = logging.getLogger(__name__)

# How long SQLite's one writer is kept from others: some 40 ms a batch.
BATCH_BYTES = {"sqlite": 512 * 1024, "postgresql": 4 * 1024 * 1024}
PARAMETERS = 500
# Goes from each name to the next in the index by service, however many requests each has.
SERVICE_NAMES = """
WITH RECURSIVE names (name) AS (
    SELECT min(service) FROM logs_requestlog WHERE service IS NOT NULL
    UNION ALL
    SELECT (SELECT min(service) FROM logs_requestlog WHERE service > name) FROM names
    WHERE name IS NOT NULL
)
SELECT name FROM names WHERE name IS NOT NULL LIMIT %s
"""

LOG_COLUMNS = tuple(str(field.column) for field in RequestLog._meta.concrete_fields)
CONTENT_COLUMNS = tuple(str(field.column) for field in RequestContent._meta.concrete_fields)


class DatabaseStore(LogStore):
    """Rows in tables, found by indexes in the order of ids."""

    ship_seconds = 0.2

    @property
    def batch_bytes(self) -> int:
        return BATCH_BYTES[connection.vendor]

    def start(self, file: str) -> Start:
        offsets = SpoolPosition.objects.filter(pk=file).values_list("offset", flat=True)
        return Start(offsets.first() or 0)

    def add(self, batch: Batch, records: Sequence[Record], set_aside: SetAside) -> int:
        position = SpoolPosition(file=batch.path.name, offset=batch.ends_at)
        try:
            return store(records, position)
        except (OperationalError, InterfaceError):
            raise
        except Exception as error:  # noqa: BLE001 - whatever a record does, the others are stored
            logger.warning("a batch of request records is stored one by one: %s", error)
        stored = _store_apart(records, set_aside)
        store([], position)
        return stored

    def walk(self, rows: Rows, *, is_ascending: bool = False) -> Walk:
        return walk(rows, is_ascending=is_ascending)

    def related(self, rows: Rows, name: str) -> Rows:
        return rows.select_related(name)

    def service_names(self, limit: int) -> list[str]:
        with connection.cursor() as cursor:
            cursor.execute(SERVICE_NAMES, [limit])
            return [name for (name,) in cursor.fetchall()]


def store(rows: Sequence[Record], position: SpoolPosition | None = None) -> int:
    """Add records with all that follows from them, and how far their file is read with that.

    Return how many they are. Raises what the database raises, and then nothing is added.
    """
    with waited_for(), transaction.atomic():
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


def _store_apart(records: Sequence[Record], set_aside: SetAside) -> int:
    """Store what can be stored; find out which records cannot, and set those aside."""
    try:
        return store(_unknown(records))
    except (OperationalError, InterfaceError):
        raise
    except Exception as error:  # noqa: BLE001 - as above
        if len(records) == 1:
            set_aside(orjson.dumps(tuple(records[0]), default=str), str(error))
            return 0
    middle = len(records) // 2
    return _store_apart(records[:middle], set_aside) + _store_apart(records[middle:], set_aside)


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
