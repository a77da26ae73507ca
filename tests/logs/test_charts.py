"""Usage adds up to the right numbers."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from logs.models import BUCKETS, HourlyUsage
from logs.models.usage import BOUNDS
from logs.shipping.shipper import usage
from logs.usage_charts import PERIODS, Slots, key_usage_context, percentile
from tests.support.factories import issue, make_request

NOW = datetime(2026, 11, 23, 13, 20, tzinfo=UTC)


@pytest.mark.parametrize("name", PERIODS)
def test_every_hour_of_a_period_falls_into_one_of_its_bars(name: str) -> None:
    slots = Slots(PERIODS[name], NOW)
    hour = NOW.replace(minute=0)

    slots.add(({"hour": hour - timedelta(hours=n), "requests": 1} for n in range(12)), ["requests"])
    slots.add([{"hour": slots.began - timedelta(hours=1), "requests": 99}], ["requests"])

    assert slots.sum()["requests"] == 12
    assert slots.totals[-1]["requests"] > 0
    assert len(slots.labels) == len(slots.totals)


def test_percentiles_come_from_the_histogram() -> None:
    fast, slow = usage.bucket(900), usage.bucket(100_000)
    counts = Counter({fast: 90, slow: 10})

    assert 0.5 <= (percentile(counts, 0.5) or 0) <= 1.0
    assert 64 <= (percentile(counts, 0.95) or 0) <= 128
    assert percentile(Counter(), 0.5) is None


def test_every_duration_has_a_bucket() -> None:
    assert usage.bucket(0) == BUCKETS[0]
    assert usage.bucket(BOUNDS[0]) == BUCKETS[0]
    assert usage.bucket(BOUNDS[0] + 1) == BUCKETS[1]
    assert usage.bucket(10**12) == BUCKETS[-1]


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (200, "", "succeeded"),
        (302, "", "succeeded"),
        (404, "not_found", "refused"),
        (429, "rate_limited", "limited"),
        (429, "too_many_failures", "refused"),
        (503, "unavailable", "failed"),
    ],
)
def test_every_answer_has_an_outcome(status: int, code: str, outcome: str) -> None:
    assert usage.outcome(status, code) == outcome


@pytest.mark.django_db
def test_a_key_is_shown_by_path_code_and_address() -> None:
    key = issue().key
    for _ in range(3):
        make_request(key=key)
    make_request(key=key, status=404, code="not_found", route="", address="198.51.100.8")
    HourlyUsage.objects.create(
        hour=datetime.now(UTC).replace(minute=0, second=0, microsecond=0),
        environment="production", key_id=key.pk, requests=4, succeeded=3, refused=1, bucket_2=4,
    )  # fmt: skip

    shown = key_usage_context(key)

    assert shown["paths"] == [("GET key", 3), ("GET unknown path", 1)]
    assert shown["codes"] == [("not_found", 1)]
    assert shown["address_count"] == 2
    assert shown["total"]["requests"] == 4
    assert 1.0 <= shown["p50"] <= 2.0
