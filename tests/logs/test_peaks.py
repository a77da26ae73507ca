"""The busiest minute, hour and day of a key, as records are shipped."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from apikeys.models import ApiKey
from logs.capture.record import Record
from logs.models import HourlyUsage
from logs.shipping import usage
from logs.usage_peaks import peaks
from tests.support.factories import issue, record_line

pytestmark = pytest.mark.django_db


@pytest.fixture
def key() -> ApiKey:
    """A key without requests."""
    return issue().key


def minute_of(hour: int, minute: int, *, days_ago: int = 0) -> datetime:
    today = datetime.now(UTC).replace(hour=hour, minute=minute, second=0, microsecond=0)
    return today - timedelta(days=days_ago)


def ship(key: ApiKey, *batch: tuple[datetime, int], **fields: Any) -> None:
    """Ship one batch: so many requests in each minute."""
    fields = {"key": key.pk, "is_key_accepted": True} | fields
    usage.add(
        [
            Record(*json.loads(record_line(at=int(at.timestamp() * 10**6) + number, **fields)))
            for at, count in batch
            for number in range(count)
        ]
    )


def test_a_minute_that_spans_batches_is_added_up(key: ApiKey) -> None:
    ship(key, (minute_of(10, 0), 12))
    ship(key, (minute_of(10, 0), 19), (minute_of(10, 1), 5))
    ship(key, (minute_of(10, 1), 4))

    assert peaks(key)["minute"] == 31


def test_the_busiest_minute_may_be_within_a_batch_or_at_its_end(key: ApiKey) -> None:
    ship(key, (minute_of(9, 58), 3), (minute_of(9, 59), 40), (minute_of(10, 0), 25))
    assert peaks(key)["minute"] == 40

    ship(key, (minute_of(10, 0), 25))
    assert peaks(key)["minute"] == 50


def test_what_comes_after_a_newer_minute_does_not_join_it(key: ApiKey) -> None:
    ship(key, (minute_of(10, 5), 7))
    ship(key, (minute_of(10, 4), 9))
    ship(key, (minute_of(10, 5), 6))

    assert peaks(key)["minute"] == 13


def test_a_new_day_begins_anew_and_an_old_one_is_left_out(key: ApiKey) -> None:
    ship(key, (minute_of(0, 0, days_ago=40), 90), (minute_of(0, 0, days_ago=1), 8))
    ship(key, (minute_of(0, 0), 5))

    assert peaks(key) == {"minute": 8, "hour": 8, "day": 8}


def test_a_request_that_the_limit_refused_was_wanted_and_one_revoked_was_not(key: ApiKey) -> None:
    ship(key, (minute_of(10, 0), 4), status=429, code="rate_limited")
    ship(key, (minute_of(10, 0), 4), status=401, code="key_revoked", is_key_accepted=False)

    assert peaks(key)["minute"] == 4


def test_hours_and_days_are_summed_over_services(key: ApiKey) -> None:
    for hour, service, number in ((3, "", 10), (3, "orders", 5), (4, "", 9)):
        HourlyUsage.objects.create(
            hour=minute_of(hour, 0, days_ago=2), environment="production", key_id=key.pk,
            service=service, requests=number,
        )  # fmt: skip

    assert peaks(key) == {"hour": 15, "day": 24}
