"""Usage adds up to the right numbers."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from logs.models import BUCKETS, HourlyUsage
from logs.models.usage import BOUNDS
from logs.shipping import usage
from logs.usage_charts import (
    PERIODS,
    Slots,
    key_requests,
    key_usage,
    overview,
    percentile,
    service_usage,
)
from tests.support.factories import issue, make_decision, make_request

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
        make_request(key=key, route="customers/<uuid:customer_id>")
    make_request(key=key, status=404, code="not_found", route="", address="198.51.100.8")
    make_request(key=key, kind="decision", address="")
    HourlyUsage.objects.create(
        hour=datetime.now(UTC).replace(minute=0, second=0, microsecond=0),
        environment="production", key_id=key.pk, requests=4, succeeded=3, refused=1, bucket_2=4,
    )  # fmt: skip

    shown = {**key_usage(key), **key_requests(key)}

    assert shown["paths"] == [
        ("GET customers/{customer_id}", 3),
        ("GET key", 1),
        ("GET unknown path", 1),
    ]
    assert shown["codes"] == [("not_found", 1)]
    assert shown["address_count"] == 2
    assert shown["total"]["requests"] == 4
    assert 1.0 <= shown["p50"] <= 2.0


def count(**fields: Any) -> None:
    """Add to the usage of this hour."""
    HourlyUsage.objects.create(
        hour=datetime.now(UTC).replace(minute=0, second=0, microsecond=0),
        environment=fields.pop("environment", "production"), bucket_2=fields["requests"], **fields,
    )  # fmt: skip


@pytest.mark.django_db
def test_a_service_is_shown_by_key_refusal_and_rule() -> None:
    busy, idle = issue(name="Busy").key, issue().key
    make_decision(key=busy)
    make_decision(status=403, code="no_rule", route="")
    make_decision("stock", status=401, code="key_missing")
    count(service="orders", key_id=busy.pk, requests=5, succeeded=4, limited=1)
    count(service="orders", key_id=idle.pk, requests=2, succeeded=2, environment="staging")
    count(service="orders", requests=3, refused=3)
    count(service="stock", key_id=idle.pk, requests=90, refused=90)
    count(key_id=idle.pk, requests=90, succeeded=90)

    shown = service_usage("orders")

    assert [shown["total"][name] for name in ("requests", "succeeded", "refused", "limited")] == [
        10, 6, 3, 1,
    ]  # fmt: skip
    assert [(row["key"], row["total"], row["bad"]) for row in shown["busiest"]] == [
        (busy, 5, 1), (idle, 2, 0),
    ]  # fmt: skip
    assert shown["codes"] == [("no_rule", 1)]
    assert shown["paths"] == [("GET unknown path", 1), ("GET /v1/orders/**", 1)]
    assert service_usage("nothing")["total"]["requests"] == 0


@pytest.mark.django_db
def test_charts_of_keys_and_environments_sum_over_services() -> None:
    key = issue().key
    count(key_id=key.pk, requests=2, succeeded=2)
    count(key_id=key.pk, requests=5, refused=5, service="orders")
    count(key_id=key.pk, requests=1, failed=1, service="stock")

    shown = overview()

    assert key_usage(key)["total"]["requests"] == 8
    assert [part["total"]["requests"] for part in shown["traffic"]] == [8, 0, 0]
    assert [row["total"] for row in shown["busiest"]] == [8]
    assert [(row["service"], row["total"], row["bad"]) for row in shown["services"]] == [
        ("orders", 5, 5), ("stock", 1, 1),
    ]  # fmt: skip
