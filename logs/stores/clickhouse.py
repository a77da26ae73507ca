"""The request log in ClickHouse; usage and positions stay in the database.

A batch is stored once. Before it is inserted the database notes where it ends, so that a worker
that was killed adds the same records again: the rows that are there are left out, and the server
drops an insert whose token (file and offsets) it has seen. Then usage and the position are
committed together. An insert that fails is tried again for as long as it takes.
"""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.conf import settings
from django.db import DatabaseError, InterfaceError, OperationalError, connections, transaction

from database.clickhouse.connection import Connection
from database.outages import LogStoreUnavailable
from database.uuid7 import first_id_at
from logs.capture.record import REQUEST_CUT, RESPONSE_CUT, Record
from logs.models import RequestLog, SpoolPosition
from logs.models.requests import SLOW_MICROSECONDS
from logs.shipping import networks, usage
from logs.shipping.spool_reader import Batch, Start
from logs.stores import LogStore, Rows, SetAside
from logs.stores.router import ALIAS
from logs.walks import Walk

TABLE, VIEW = "logs_requestlog", "logs_requestcontent"
KNOWN = f"""
SELECT comment, create_table_query FROM system.tables
WHERE database = currentDatabase() AND name = '{TABLE}'
"""  # noqa: S608 - no part of it was sent by anybody
# Raised with each change of what is below, which has to bring tables from one to the next.
VERSION = 1
WORD, NAME = "LowCardinality(String)", "LowCardinality(Nullable(String))"
COUNT = "UInt64 CODEC(T64, ZSTD)"
COLUMNS = {
    "id": "UInt128 CODEC(ZSTD)",
    "at": "DateTime64(6, 'UTC') CODEC(Delta, ZSTD)",
    "environment": NAME,
    "key_id": "Nullable(String) CODEC(ZSTD)",
    "secret_version": "Nullable(UInt32)",
    "customer_id": "Nullable(UInt128) CODEC(ZSTD)",
    "job_id": "Nullable(UInt128) CODEC(ZSTD)",
    "permission": NAME,
    "method": WORD,
    "path": "String CODEC(ZSTD)",
    "route": WORD,
    "query": "String CODEC(ZSTD)",
    "status": "UInt16",
    "status_class": "UInt8",
    "code": WORD,
    "duration": COUNT,
    "is_slow": "Bool",
    "request_bytes": COUNT,
    "response_bytes": COUNT,
    "address": "String CODEC(ZSTD)",
    "user_agent": WORD,
    "kind": WORD,
    "service": NAME,
    "host": NAME,
    "caller_id": NAME,
    "phases": "Nullable(String) CODEC(ZSTD)",
    "trace_id": "Nullable(UInt128) CODEC(ZSTD)",
    "request_headers": "String CODEC(ZSTD)",
    "response_headers": "String CODEC(ZSTD)",
    "request_body": "String CODEC(ZSTD)",
    "response_body": "String CODEC(ZSTD)",
    "is_request_cut": "Bool",
    "is_response_cut": "Bool",
}
CONTENT = tuple(COLUMNS)[-6:]
BLOOM, FEW = "bloom_filter(0.01)", "set(64)"
INDEXES = {
    **dict.fromkeys(("key_id", "customer_id", "job_id", "trace_id", "address"), BLOOM),
    **dict.fromkeys(("code", "method", "service", "status", "is_slow"), FEW),
    # Parts of four characters: what is searched for is seldom shorter.
    "path": "ngrambf_v1(4, 8192, 3, 0)",
}
TABLE_SETTINGS = (
    # Whole days go at once: nothing is rewritten.
    "ttl_only_drop_parts = 1",
    # As many inserts are remembered as come while one is repeated.
    "non_replicated_deduplication_window = 10000",
    # What is acknowledged is on disk: the spool drops it then.
    "fsync_after_insert = 1",
    "fsync_part_directory = 1",
)
# One block: of a batch that spans midnight each day is one part.
INSERT_SETTINGS = {
    "async_insert": 0,
    "input_format_parallel_parsing": 0,
    "max_partitions_per_insert_block": 0,
}
DAYS = f"""
SELECT partition, sum(rows) FROM system.parts
WHERE active AND database = currentDatabase() AND table = '{TABLE}' GROUP BY partition
"""  # noqa: S608 - as above
DAY = timedelta(days=1)
# How many rows a page looks at, in whole days, before it says how far it looked.
MAX_WALKED = 20_000_000
# How many are looked at for the names of services.
MAX_NAMED = 2_000_000
# So many ids a query: it may have 256 KiB.
IDS = 2000
# In microseconds; what a DateTime64 holds ends some years later.
MAX_AT = 10_000_000_000_000_000
MAX_COUNT = 2**63 - 1
MAX_VERSION = 2**32 - 1


class ClickHouseStore(LogStore):
    """Rows in the order of their ids, a part a day, with indexes that skip what cannot fit."""

    # Each insert makes a file: ClickHouse's manual asks for one a second at most.
    ship_seconds = 1.0
    deletes_by_itself = True

    @property
    def batch_bytes(self) -> int:
        return 8 * 1024 * 1024

    def prepare(self) -> None:
        """Make the table, or bring it to this version, and to the days that rows are kept."""
        known = server().read(KNOWN)
        if known.result_rows:
            (comment, created) = known.result_rows[0]
            version = comment.rpartition(" ")[2]
            if version != str(VERSION):
                raise LogStoreUnavailable(f"its tables are of another version, {version!r}")
        # Each that is not there: whoever made them may have been killed in between.
        for statement in schema():
            server().execute(statement)
        if not known.result_rows:
            return
        if f"toIntervalDay({settings.LOG_RETENTION_DAYS})" not in created:
            server().execute(f"ALTER TABLE {TABLE}{_on_cluster()} MODIFY {_ttl()}")

    def start(self, file: str) -> Start:
        position = SpoolPosition.objects.filter(pk=file).first()
        return Start(position.offset, position.fixed_to) if position else Start(0)

    def add(self, batch: Batch, records: Sequence[Record], set_aside: SetAside) -> int:
        rows: dict[str, bytes] = {}
        stored, refused = [], []
        for record in records:
            try:
                rows[record.id] = orjson.dumps(_row(record))
                stored.append(record)
            except Exception as error:  # noqa: BLE001 - whatever a record does, the others are stored
                refused.append((_as_spooled(record), str(error)))
        name = batch.path.name
        if rows:
            # A cluster drops a batch that it has by its token, once enough replicas have it.
            if _is_repeated(name, batch) and not settings.LOG_STORE_CLUSTER:
                _leave_out_known(rows)
            token = f"{name}:{batch.begins_at}-{batch.ends_at}"
            if rows:
                insert(b"\n".join(rows.values()), token)
        # Not before: an insert that fails is tried again, and each would be kept again.
        for text, reason in refused:
            set_aside(text, reason)
        with transaction.atomic():
            _see_that_unchanged(name, batch)
            counted = _count(stored, set_aside)
            SpoolPosition.objects.update_or_create(
                pk=name, defaults={"offset": batch.ends_at, "fixed_to": None}
            )
        return counted

    def walk(self, rows: Rows, *, is_ascending: bool = False) -> Walk:
        """Return the rows of as many whole days as have ``MAX_WALKED`` rows."""
        end = _end(MAX_WALKED, _begin(rows, is_ascending=is_ascending), is_ascending=is_ascending)
        rows = rows.order_by("pk" if is_ascending else "-pk")
        if end is None:
            return Walk(rows, None)
        return Walk(rows.filter(pk__lte=end) if is_ascending else rows.filter(pk__gte=end), end)

    def related(self, rows: Rows, name: str) -> Rows:
        """Have them read apart: keys are in another database, and a join reads all content."""
        return rows.prefetch_related(name)

    def service_names(self, limit: int) -> list[str]:
        """Return those of the newest rows: to look through all would take seconds."""
        named = RequestLog.objects.exclude(service=None).order_by("service")
        if end := _end(MAX_NAMED, None):
            named = named.filter(pk__gte=end)
        names: Any = named.values_list("service", flat=True).distinct()
        return list(names[:limit])

    def prune(self, timestamp: datetime) -> Iterator[int]:
        number = RequestLog.objects.before(timestamp).count()
        if number:
            before = first_id_at(timestamp).int
            server().execute(
                f"ALTER TABLE {TABLE}{_on_cluster()} DELETE WHERE id < toUInt128('{before}')"
                " SETTINGS mutations_sync = 2"
            )
        yield number


def schema() -> list[str]:
    """Return the statements that make what rows are stored in."""
    columns = [f"{name} {kind}" for name, kind in COLUMNS.items()]
    columns += [
        f"INDEX by_{name} {name} TYPE {kind} GRANULARITY 1" for name, kind in INDEXES.items()
    ]
    engine = "ReplicatedReplacingMergeTree" if settings.LOG_STORE_CLUSTER else "ReplacingMergeTree"
    content = ", ".join(CONTENT)
    table = (
        f"CREATE TABLE IF NOT EXISTS {TABLE}{_on_cluster()} ({', '.join(columns)})"
        f" ENGINE = {engine} PARTITION BY toDate(at) ORDER BY id {_ttl()}"
        f" SETTINGS {', '.join(TABLE_SETTINGS)} COMMENT 'Latchkey, version {VERSION}'"
    )
    view = f"CREATE VIEW IF NOT EXISTS {VIEW}{_on_cluster()} AS SELECT id AS request_id, {content}"
    return [table, f"{view} FROM {TABLE}"]


def insert(rows: bytes, token: str) -> None:
    """Add rows, a JSON array on each line, unless an insert with the token was made."""
    quorum = {"insert_quorum": "auto"} if settings.LOG_STORE_CLUSTER else {}
    given = INSERT_SETTINGS | quorum | {"insert_deduplication_token": token}
    server().insert(TABLE, tuple(COLUMNS), rows, given)


def _begin(rows: Rows, *, is_ascending: bool) -> UUID | None:
    """Return the id from which a list goes on; None if it begins at one end of the log."""
    names = {"gt", "gte"} if is_ascending else {"lt", "lte"}
    conditions: list[Any] = rows.query.where.children
    ids = [
        condition.rhs
        for condition in conditions
        if getattr(condition, "lookup_name", "") in names and condition.lhs.target.primary_key
    ]
    return max(ids, default=None) if is_ascending else min(ids, default=None)


def _end(number: int, begin: UUID | None, *, is_ascending: bool = False) -> UUID | None:
    """Return the id that ends the days with so many rows; None if no others follow."""
    days = [
        (datetime.fromisoformat(f"{day}T00:00:00Z"), int(rows))
        for day, rows in server().read(DAYS).result_rows
    ]
    spans = [(first_id_at(day), first_id_at(day + DAY), rows) for day, rows in sorted(days)]
    for first, last, rows in spans if is_ascending else reversed(spans):
        if begin and (last <= begin if is_ascending else first >= begin):
            continue
        if number <= 0:
            # Of the day before, this one is what follows.
            return first if is_ascending else last
        number -= rows
    return None


def _ttl() -> str:
    return f"TTL toDateTime(at) + toIntervalDay({settings.LOG_RETENTION_DAYS})"


def _on_cluster() -> str:
    return f" ON CLUSTER '{settings.LOG_STORE_CLUSTER}'" if settings.LOG_STORE_CLUSTER else ""


def server() -> Connection:
    database = connections[ALIAS]
    database.ensure_connection()
    connection: Connection = database.connection
    return connection


def _is_repeated(name: str, batch: Batch) -> bool:
    """Note where the batch ends, before it is inserted; whether that was noted before."""
    position, _ = SpoolPosition.objects.get_or_create(pk=name, defaults={"offset": batch.begins_at})
    is_repeated = position.fixed_to is not None
    if position.fixed_to != batch.ends_at:
        SpoolPosition.objects.filter(pk=name).update(fixed_to=batch.ends_at)
    return is_repeated


def _see_that_unchanged(name: str, batch: Batch) -> None:
    """Raise ``LogStoreUnavailable`` if another worker has stored the batch meanwhile."""
    position = SpoolPosition.objects.select_for_update().filter(pk=name).first()
    if position is not None and position.offset != batch.begins_at:
        raise LogStoreUnavailable("another worker ships the same spool")


def _leave_out_known(rows: dict[str, bytes]) -> None:
    ids = list(rows)
    for start in range(0, len(ids), IDS):
        known = RequestLog.objects.filter(pk__in=ids[start : start + IDS])
        for identifier in known.values_list("pk", flat=True):
            rows.pop(str(identifier), None)


def _count(records: Sequence[Record], set_aside: SetAside) -> int:
    """Add records to usage and networks; return how many could be added."""
    if not records:
        return 0
    try:
        with transaction.atomic():
            usage.add(records)
            networks.add(records)
    except (OperationalError, InterfaceError):
        raise
    except DatabaseError as error:
        if len(records) == 1:
            set_aside(_as_spooled(records[0]), f"it is stored, and not counted: {error}")
            return 0
        middle = len(records) // 2
        return _count(records[:middle], set_aside) + _count(records[middle:], set_aside)
    return len(records)


def _as_spooled(record: Record) -> bytes:
    return orjson.dumps(tuple(record), default=str)


def _row(record: Record) -> tuple[Any, ...]:
    """Return the columns; raise ``TypeError`` or ``ValueError`` for what they cannot hold.

    The server is sent nothing that it could refuse, so that a refusal says something of it alone.
    """
    return (
        _identifier(record.id),
        _time(record.at),
        _maybe(_text, record.environment),
        _maybe(_text, record.key),
        _maybe(_version, record.secret_version),
        _maybe(_identifier, record.customer),
        _maybe(_identifier, record.job),
        _maybe(_text, record.permission),
        _text(record.method),
        _text(record.path),
        _text(record.route),
        _text(record.query),
        _number(record.status, 1000),
        record.status // 100,
        _text(record.code),
        _number(max(record.duration, 0)),
        record.duration >= SLOW_MICROSECONDS,
        _number(record.request_bytes),
        _number(record.response_bytes),
        _text(record.address),
        _text(record.user_agent),
        _text(record.kind),
        _maybe(_text, record.service or None),
        _maybe(_text, record.host or None),
        _maybe(_text, record.caller),
        _maybe(_text, record.phases),
        _maybe(_identifier, record.trace),
        orjson.dumps(record.request_headers).decode(),
        orjson.dumps(record.response_headers).decode(),
        _text(record.request_body),
        _text(record.response_body),
        bool(record.cut & REQUEST_CUT),
        bool(record.cut & RESPONSE_CUT),
    )


def _maybe(convert: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else convert(value)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{value!r} is no text")
    return value


def _number(value: Any, most: int = MAX_COUNT) -> int:
    if not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"{value!r} is no number from 0 to {most}")
    return value


def _version(value: Any) -> int:
    return _number(value, MAX_VERSION)


def _identifier(value: str) -> str:
    digits = value.replace("-", "")
    if len(digits) != 32:
        raise ValueError(f"{value!r} is no id")
    return str(int(digits, 16))


def _time(microseconds: Any) -> str:
    second, rest = divmod(_number(microseconds, MAX_AT), 1_000_000)
    return f"{second:010}.{rest:06}"
