"""Days are made ahead and dropped when they are over, and every record has a place meanwhile."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db import connection
from django.utils import timezone

from database.uuid7 import first_id_at, made_at
from logs import retention
from logs.models import RequestContent, RequestLog
from logs.partitions import upkeep
from logs.partitions.catalogue import KEYS, REQUESTS, Partition, day_of, partitions
from logs.stores.database import store
from tests.support.factories import make_request, record

pytestmark = pytest.mark.django_db
NOON = timedelta(hours=12)
DAY = timedelta(days=1)


@pytest.fixture(autouse=True)
def _every_id_has_one_place() -> Iterator[None]:
    """See after each test that partitions follow each other without gaps, to both ends."""
    yield
    for table in KEYS:
        spans = [one.span for one in partitions(table)]
        assert spans[0].lower is None
        assert spans[-1].upper is None
        assert [span.upper for span in spans[:-1]] == [span.lower for span in spans[1:]]


def today() -> datetime:
    return day_of(timezone.now())


def days(table: str = REQUESTS) -> list[datetime]:
    """Return the days that have partitions of their own."""
    return [
        made_at(one.span.lower) for one in partitions(table) if not one.is_gap and one.span.lower
    ]


def request_at(timestamp: datetime) -> RequestLog:
    return make_request(id=first_id_at(timestamp))


def place_of(log: RequestLog) -> Partition:
    found = []
    for one in partitions(REQUESTS):
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT 1 FROM {one.name} WHERE id = %s", [log.pk])  # noqa: S608
            found += [one] * len(cursor.fetchall())
    (place,) = found
    return place


def past(number: int) -> None:
    """Make so many days before today, as if a worker had made them in time."""
    upkeep.divide_oldest(today() - number * DAY)


def test_a_worker_makes_a_week_ahead() -> None:
    upkeep.make_ahead(timezone.now())
    made = partitions(REQUESTS)
    upkeep.make_ahead(timezone.now())

    for table in KEYS:
        assert days(table)[-8:] == [today() + n * DAY for n in range(8)]
    assert partitions(REQUESTS) == made


def test_a_request_goes_to_its_day() -> None:
    upkeep.make_ahead(timezone.now())

    log = request_at(today() + DAY + NOON)

    assert made_at(place_of(log).span.lower) == today() + DAY


def test_days_are_made_up_for_when_no_worker_ran_for_long() -> None:
    upkeep.make_ahead(timezone.now())
    later = today() + 20 * DAY

    upkeep.make_ahead(later + NOON)

    assert days()[-28:] == [today() + n * DAY for n in range(28)]


def test_rows_that_came_before_their_day_was_made_are_moved_to_it() -> None:
    upkeep.make_ahead(timezone.now())
    early = [request_at(today() + n * DAY + NOON) for n in (8, 9, 9.1, 12)]
    assert {place_of(log).is_gap for log in early} == {True}

    upkeep.make_ahead(today() + 10 * DAY)

    assert [made_at(place_of(log).span.lower) for log in early] == [
        today() + n * DAY for n in (8, 9, 9, 12)
    ]
    assert RequestContent.objects.count() == RequestLog.objects.count() == 4


def test_a_clock_that_is_far_ahead_gets_a_day_of_its_own_and_no_others() -> None:
    far = request_at(today() + 400 * DAY + NOON)
    upkeep.make_ahead(timezone.now())
    number = len(partitions(REQUESTS))

    upkeep.make_ahead(timezone.now())

    assert made_at(place_of(far).span.lower) == today() + 400 * DAY
    assert len(partitions(REQUESTS)) == number
    # What is between is divided when its time comes.
    upkeep.make_ahead(today() + 3 * DAY)
    assert today() + 10 * DAY in days()


def test_an_id_that_is_no_time_is_taken_and_stays_where_it_is() -> None:
    log = make_request(id=UUID(int=2**128 - 1))

    upkeep.make_ahead(timezone.now())

    assert place_of(log).span.upper is None


def test_expired_days_are_dropped_and_younger_ones_are_not(settings: Any) -> None:
    settings.LOG_RETENTION_DAYS = 3
    past(10)
    old = [request_at(today() - n * DAY + NOON) for n in range(5, 11)]
    kept = [request_at(today() - n * DAY + NOON) for n in range(4)]

    retention.prune_expired(today() + NOON)

    assert set(RequestLog.objects.all()) == set(kept)
    assert RequestContent.objects.count() == len(kept)
    assert not set(days()) & {day_of(made_at(log.pk)) for log in old}
    for table in KEYS:
        assert days(table)[0] == today() - 3 * DAY


def test_a_day_is_deleted_once_all_of_it_is_expired(settings: Any) -> None:
    settings.LOG_RETENTION_DAYS = 3
    past(10)
    log = request_at(today() - 3 * DAY + timedelta(hours=1))

    retention.prune_expired(today() + NOON)
    assert RequestLog.objects.filter(pk=log.pk).exists()
    retention.prune_expired(today() + DAY)
    assert not RequestLog.objects.filter(pk=log.pk).exists()


def test_what_is_before_all_days_is_deleted_row_by_row(settings: Any) -> None:
    settings.LOG_RETENTION_DAYS = 3
    old = request_at(today() - 5 * DAY)
    young = request_at(today() - 2 * DAY)

    retention.prune_expired(timezone.now())

    assert place_of(young).span.lower is None
    assert not RequestLog.objects.filter(pk=old.pk).exists()


def test_where_nobody_makes_days_rows_are_deleted_one_by_one(settings: Any) -> None:
    settings.LOG_RETENTION_DAYS = 3
    later = today() + 400 * DAY
    _, kept = (request_at(later - n * DAY) for n in (5, 1))

    retention.prune_expired(later)

    assert list(RequestLog.objects.all()) == [kept]


def test_a_record_of_a_day_that_was_dropped_is_taken_and_deleted_next_time(settings: Any) -> None:
    settings.LOG_RETENTION_DAYS = 3
    past(10)
    retention.prune_expired(timezone.now())

    at = today() - 7 * DAY
    store([record(id=str(first_id_at(at)), at=int(at.timestamp() * 1e6))])

    assert RequestLog.objects.count() == 1
    retention.prune_expired(timezone.now())
    assert RequestLog.objects.count() == RequestContent.objects.count() == 0


def test_pruning_within_a_day_deletes_to_the_moment() -> None:
    past(10)
    times = [today() - n * DAY + hours for n in (6, 5, 4) for hours in (DAY / 4, DAY / 2)]
    logs = [request_at(at) for at in times]

    deleted = list(retention.prune(today() - 4 * DAY + DAY / 3))

    assert sum(deleted) == 5
    assert deleted[0] == 4
    assert list(RequestLog.objects.all()) == [logs[-1]]
    assert days()[0] == today() - 4 * DAY


def test_a_log_that_is_kept_for_long_has_few_partitions(settings: Any) -> None:
    settings.LOG_RETENTION_DAYS = 3650
    past(4000)
    upkeep.make_ahead(timezone.now())

    assert 50 < len(partitions(REQUESTS)) < 80


def test_what_is_restored_or_not_empty_is_divided_only_where_it_is_empty() -> None:
    request_at(today() - 5 * DAY)
    before = partitions(REQUESTS)

    past(10)

    assert partitions(REQUESTS) == before


def plan(rows: Any) -> str:
    text: str = rows.explain()
    return text


def test_lists_read_one_day_after_the_other_and_ranges_their_days_alone() -> None:
    past(30)
    upkeep.make_ahead(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE logs_requestlog; SET LOCAL enable_seqscan = off")
    since, until = first_id_at(today() - 3 * DAY), first_id_at(today() - 2 * DAY)

    newest = plan(RequestLog.objects.newest_first()[:50])
    of_key = plan(RequestLog.objects.filter(key_id="k", code="x").newest_first()[:50])
    of_day = plan(RequestLog.objects.filter(pk__gte=since, pk__lt=until).newest_first()[:50])
    one = plan(RequestLog.objects.filter(pk=since))

    assert "Append" in newest
    assert "Sort" not in newest
    # A Merge Append has a sort key too, and sorts nothing.
    assert not re.search(r"^\W*Sort ", of_key, re.MULTILINE)
    assert of_day.count("Scan") == one.count("Scan") == 1
