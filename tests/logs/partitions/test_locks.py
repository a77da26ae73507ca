"""Partitions change while others use the log, and wait where those would have to."""

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.apps import apps
from django.db import OperationalError, connection, models
from django.db.migrations.state import ProjectState
from django.utils import timezone

from database.concurrent_indexes import AddIndexConcurrently
from database.uuid7 import first_id_at
from logs import retention
from logs.capture.spool import Spool
from logs.models import RequestLog
from logs.partitions import upkeep
from logs.partitions.catalogue import partitions
from logs.shipping.shipper import REJECTED, Shipper
from logs.stores.database import LOG_COLUMNS
from tests.logs.partitions.test_upkeep import DAY, NOON, days, past, place_of, request_at, today
from tests.support.factories import make_request, record_line
from tests.support.servers import wait_until

WAITS = "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'logs_requestlog'::regclass"
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "ATTEMPTS", 2)
    monkeypatch.setattr(upkeep, "PAUSE_SECONDS", 0.01)


@pytest.fixture
def other() -> Iterator[psycopg.Connection[Any]]:
    """Somebody else in the same database."""
    values = connection.settings_dict
    with psycopg.connect(
        host=values["HOST"], port=values["PORT"], user=values["USER"], dbname=values["NAME"]
    ) as opened:
        yield opened


def test_what_a_backup_reads_is_dropped_the_next_time_and_the_rest_now(
    settings: Any, other: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
    settings.LOG_RETENTION_DAYS = 3
    past(6)
    held, older, kept = (request_at(today() - n * DAY) for n in (5, 8, 1))
    other.execute("LOCK TABLE logs_requestlog, logs_requestcontent IN ACCESS SHARE MODE")

    retention.prune_expired(timezone.now())

    assert set(RequestLog.objects.all()) == {held, kept}
    assert older not in RequestLog.objects.all()
    assert [line.message for line in caplog.records if line.levelno >= logging.WARNING] == [
        "partitions of logs_requestlog are dropped later: the table is locked, perhaps by a backup"
    ]
    other.rollback()
    retention.prune_expired(timezone.now())
    assert set(RequestLog.objects.all()) == {kept}


def test_pruning_on_demand_deletes_what_a_backup_reads_row_by_row(
    other: psycopg.Connection[Any],
) -> None:
    past(6)
    request_at(today() - 5 * DAY)
    kept = request_at(today() - DAY)
    other.execute("LOCK TABLE logs_requestlog, logs_requestcontent IN ACCESS SHARE MODE")

    assert sum(retention.prune(today() - 3 * DAY)) == 1

    assert set(RequestLog.objects.all()) == {kept}


def test_one_process_at_a_time_changes_partitions(
    settings: Any, other: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture
) -> None:
    settings.LOG_RETENTION_DAYS = 3
    past(6)
    before = partitions("logs_requestlog")
    other.execute("SELECT pg_advisory_xact_lock(%s)", [upkeep.TURN])

    upkeep.make_ahead(timezone.now() + 9 * DAY)
    retention.prune_expired(timezone.now())

    assert partitions("logs_requestlog") == before
    assert caplog.records == []
    other.rollback()
    retention.prune_expired(timezone.now())
    assert days()[0] == today() - 3 * DAY


def test_rows_are_moved_once_those_who_write_them_have_ended(
    other: psycopg.Connection[Any], caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    upkeep.make_ahead(timezone.now())
    later = today() + 20 * DAY + NOON
    log = request_at(later)
    columns = ", ".join(LOG_COLUMNS[1:])
    other.execute(
        f"INSERT INTO logs_requestlog (id, {columns}) SELECT %s, {columns} FROM logs_requestlog",  # noqa: S608
        [first_id_at(later + timedelta(seconds=1))],
    )

    upkeep.make_ahead(timezone.now())

    assert "are made later" in caplog.text
    assert place_of(log).is_gap
    monkeypatch.setattr(upkeep, "ATTEMPTS", 1000)
    with ThreadPoolExecutor() as pool:
        moving = pool.submit(in_thread, lambda: upkeep.make_ahead(timezone.now()))
        waits = (
            "SELECT 1 FROM pg_locks WHERE NOT granted AND relation = 'logs_requestlog'::regclass"
        )
        wait_until(lambda: other.execute(waits.encode()).fetchone() is not None)
        other.commit()
        moving.result(60)
    assert [place_of(one).is_gap for one in RequestLog.objects.all()] == [False, False]


def in_thread(act: Callable[[], object]) -> None:
    try:
        act()
    finally:
        connection.close()


def test_what_no_partition_takes_waits_in_the_spool(tmp_path: Path) -> None:
    """As after a migration that was killed and not run again for a month."""
    bound = first_id_at(today())
    constraint = "CONSTRAINT logs_requestlog_bound"
    Spool(tmp_path, 2**20).append(record_line())

    with closing(Shipper(tmp_path)) as shipper, connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE logs_requestlog ADD {constraint} CHECK (id < '{bound}')")
        try:
            with pytest.raises(OperationalError, match="no record of this time"):
                shipper.ship()
        finally:
            cursor.execute(f"ALTER TABLE logs_requestlog DROP {constraint}")
        assert not (tmp_path / REJECTED).exists()
        assert shipper.ship() == 1


@pytest.fixture
def servant() -> Iterator[str]:
    """A role that reads and writes all tables and owns none, which the connection has."""
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE servant")
        cursor.execute(
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO servant"
        )
        cursor.execute("GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO servant")
    yield "servant"
    with connection.cursor() as cursor:
        cursor.execute("RESET ROLE; DROP OWNED BY servant; DROP ROLE servant")


def test_who_may_not_drop_days_deletes_them_row_by_row(
    servant: str, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    settings.LOG_RETENTION_DAYS = 3
    past(6)
    _, kept = (request_at(today() - n * DAY) for n in (5, 1))
    with connection.cursor() as cursor:
        cursor.execute(f"SET ROLE {servant}")

    retention.prune_expired(timezone.now())

    assert list(RequestLog.objects.all()) == [kept]
    assert "are deleted row by row, not dropped" in caplog.text


def test_records_wait_while_their_table_may_not_be_written(servant: str, tmp_path: Path) -> None:
    spool = Spool(tmp_path, 10_000_000)
    spool.append(record_line())
    with connection.cursor() as cursor:
        cursor.execute(f"REVOKE INSERT ON logs_requestlog FROM {servant}; SET ROLE {servant}")

    with closing(Shipper(tmp_path)) as shipper:
        with pytest.raises(OperationalError):
            shipper.ship()
        assert not (tmp_path / REJECTED).exists()
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")
        assert shipper.ship() == 1


def test_an_index_is_added_to_each_partition_while_they_are_used(
    other: psycopg.Connection[Any],
) -> None:
    index = models.Index(fields=["path", "-id"], name="request_by_path")
    operation = AddIndexConcurrently("requestlog", index)
    before = ProjectState.from_apps(apps)
    after = before.clone()
    operation.state_forwards("logs", after)
    make_request()
    valid = (
        "SELECT count(*) FROM pg_index JOIN pg_class ON oid = indexrelid"
        " WHERE relname LIKE 'request_by_path%' AND indisvalid"
    )
    cut_off = next(iter(partitions("logs_requestlog"))).name

    # What somebody left who was cut off.
    other.execute("CREATE INDEX request_by_path ON ONLY logs_requestlog (path, id DESC)")
    suffix = cut_off.removeprefix("logs_requestlog")
    other.execute(f"CREATE INDEX request_by_path{suffix} ON {cut_off} (path)".encode())
    other.commit()
    with connection.schema_editor(atomic=False) as editor:
        operation.database_forwards("logs", editor, before, after)

    assert other.execute(valid.encode()).fetchone() == (len(partitions("logs_requestlog")) + 1,)
    other.rollback()
    with connection.schema_editor(atomic=False) as editor:
        operation.database_backwards("logs", editor, after, before)
    assert other.execute(valid.encode()).fetchone() == (0,)
