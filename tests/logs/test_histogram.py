"""The histogram over the list counts what the list shows, and its links narrow the list."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from database.uuid7 import first_id_at
from logs.admin import histogram, request_list
from logs.admin.histogram import Histogram
from logs.models import HourlyUsage
from tests.support.factories import client_of, issue, make_request

pytestmark = pytest.mark.django_db

LIST = reverse("admin:logs_requestlog_changelist")


@pytest.fixture
def staff() -> Client:
    """Somebody who may only look."""
    return client_of("Auditor")


def shown(client: Client, query: str = "") -> Histogram:
    page = client.get(f"{LIST}?{query}")
    assert page.status_code == 200
    found: Histogram = page.context["histogram"]
    return found


def counted(found: Histogram) -> list[tuple[datetime, dict[str, int]]]:
    return [(bar.start, dict(+bar.counts)) for bar in found.bars if bar.total]


def hour_ago(hours: int) -> datetime:
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    return now - timedelta(hours=hours)


def count(hour: datetime, **fields: Any) -> None:
    """Add to hourly usage."""
    named = {"environment": "production", **fields}
    HourlyUsage.objects.create(hour=hour, **named)


def request_at(at: datetime, **fields: Any) -> None:
    log = make_request(id=first_id_at(at), **fields)
    log.at = at
    log.save()


def test_the_last_day_is_counted_by_the_hour_from_usage(staff: Client) -> None:
    count(hour_ago(2), key_id="one", succeeded=5, limited=2)
    count(hour_ago(2), key_id="two", failed=1)
    count(hour_ago(1), environment="staging", refused=3)
    count(hour_ago(30), key_id="one", succeeded=100)
    # More than are counted one by one, and not counted at all.
    make_request()

    found = shown(staff)

    assert counted(found) == [
        (hour_ago(2), {"succeeded": 5, "limited": 2, "failed": 1}),
        (hour_ago(1), {"refused": 3}),
    ]
    assert (found.total, found.highest, found.rows) == (11, 8, None)
    assert len(found.bars) in {24, 25}


def test_filters_that_usage_is_kept_by_narrow_it(staff: Client) -> None:
    key = issue().key
    count(hour_ago(1), key_id=key.pk, succeeded=5)
    count(hour_ago(1), key_id=key.pk, service="stock", succeeded=4)
    count(hour_ago(1), environment="staging", succeeded=3)

    assert shown(staff, f"key__id__exact={key.pk}").total == 9
    assert shown(staff, "service=stock").total == 4
    assert shown(staff, "environment__exact=staging").total == 3


def test_other_filters_are_counted_in_the_rows_of_the_list(staff: Client) -> None:
    now = timezone.now()
    request_at(now - timedelta(minutes=50), method="DELETE")
    request_at(now - timedelta(minutes=10), method="DELETE", status=429, code="rate_limited")
    request_at(now - timedelta(minutes=5))

    found = shown(staff, "method=DELETE")

    assert [counts for _, counts in counted(found)] == [{"succeeded": 1}, {"limited": 1}]
    assert found.rows is None
    # The whole of what there is, and no more.
    assert found.bars[0].total == 1


def test_more_rows_than_are_counted_are_said_to_be_more(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(request_list, "MAX_NEWEST", 3)
    for minutes in range(5):
        request_at(timezone.now() - timedelta(minutes=minutes + 1), method="DELETE")

    found = shown(staff, "method=DELETE")

    assert (found.total, found.rows) == (3, 3)


def test_a_short_range_has_short_bars_of_its_rows(staff: Client) -> None:
    day = datetime(2026, 3, 1, tzinfo=UTC)
    for minute, second in ((0, 1), (1, 0), (1, 59), (29, 30)):
        request_at(day + timedelta(minutes=minute, seconds=second))
    query = "at_from_0=2026-03-01&at_from_1=00:00:00&at_to_0=2026-03-01&at_to_1=00:30:00"

    found = shown(staff, query)

    assert [bar.total for bar in found.bars] == [1, 2, *[0] * 27, 1]
    assert found.is_narrowed


def test_a_bar_links_to_the_list_from_it_until_it_and_of_it_alone(staff: Client) -> None:
    count(hour_ago(1), succeeded=1)
    environment = "environment__exact=production"

    (bar,) = [bar for bar in shown(staff, f"{environment}&p=after-x").bars if bar.total]

    from_ = f"at_from_0={bar.start:%Y-%m-%d}&at_from_1={bar.start:%H}%3A00%3A00"
    until = f"at_to_0={bar.end:%Y-%m-%d}&at_to_1={bar.end:%H}%3A00%3A00"
    assert bar.since == f"?{environment}&{from_}"
    assert bar.until == f"?{environment}&{until}"
    assert bar.alone == f"?{environment}&{from_}&{until}"
    assert staff.get(LIST + bar.alone).status_code == 200
    text = staff.get(f"{LIST}?{environment}").content.decode()
    assert bar.since.replace("&", "&amp;") in text


@pytest.mark.parametrize(
    "query",
    [
        "at_from_0=0001-01-01",
        "at_from_0=1970-01-01&method=GET",
        "at_to_0=1970-01-01",
        "at_to_0=0001-01-01",
        "at_from_0=9999-12-31",
        "at_to_0=9999-12-31",
        "at_from_0=2026-05-02&at_to_0=2026-05-01",
        "at_from_0=never",
    ],
)
def test_any_range_has_a_bounded_number_of_bars(staff: Client, query: str) -> None:
    make_request(method="GET")

    found = shown(staff, query)

    assert 1 <= len(found.bars) <= histogram.MAX_BARS


def test_parts_of_a_bar_stay_within_it_and_are_seen(staff: Client) -> None:
    count(hour_ago(1), succeeded=10**9, failed=1, refused=1, limited=1)

    (bar,) = [bar for bar in shown(staff).bars if bar.total]

    assert [part.outcome for part in bar.parts] == ["succeeded", "refused", "limited", "failed"]
    assert all(part.y >= 0 and part.height >= 0 for part in bar.parts)
    assert sum(part.height for part in bar.parts) <= histogram.HEIGHT


def test_a_click_narrows_the_list_to_yesterday(staff: Client) -> None:
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    for at in (midnight - timedelta(hours=25), midnight - timedelta(seconds=1), midnight):
        request_at(at)

    offered = staff.get(f"{LIST}?method=GET").context["days"]
    addresses = {day.label: day.address for day in offered}
    page = staff.get(f"{LIST}{addresses['Yesterday']}")

    rows = [record.at for record in page.context["cl"].result_list]
    assert rows == [midnight - timedelta(seconds=1)]
    assert [day.label for day in page.context["days"] if day.is_chosen] == ["Yesterday"]
    assert [day.label for day in offered if day.is_chosen] == ["Any time"]
    assert "method=GET" in addresses["Yesterday"]
