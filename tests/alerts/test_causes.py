"""What an alert is raised for, and that it is raised once a window."""

from datetime import datetime, timedelta
from time import time_ns
from typing import Any

import pytest
from django.utils import timezone

from alerts import causes
from alerts.models import Alert
from apikeys import lifecycle
from apikeys.models import ApiKey
from logs.models import HourlyUsage, KeyNetwork
from logs.shipping import networks
from tests.support.factories import ACTOR, issue, record

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def to_operators(settings: Any) -> None:
    """Somebody to tell."""
    settings.ALERT_RECIPIENTS = ["ops@example.com"]


def usage(now: datetime, *, hours_ago: float = 0, **counts: int) -> ApiKey:
    key = issue(name="Billing").key
    hour = (now - timedelta(hours=hours_ago)).replace(minute=0, second=0, microsecond=0)
    HourlyUsage.objects.create(key_id=key.pk, hour=hour, environment="production", **counts)
    return key


def used(key: ApiKey, address: str, *, at: datetime, **fields: Any) -> None:
    """Ship a request of the key."""
    fields = {"is_key_accepted": True, "code": "", "status": 200} | fields
    microseconds = int(at.timestamp() * 1_000_000)
    networks.add([record(key=key.pk, address=address, at=microseconds, **fields)])


def raised(now: datetime | None = None) -> list[tuple[str, str]]:
    causes.raise_alerts(now or timezone.now())
    return [(alert.kind, alert.text) for alert in Alert.objects.order_by("pk")]


def kinds(now: datetime | None = None) -> list[str]:
    return [kind for kind, _ in raised(now)]


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"requests": 100, "failed": 5}, ["errors"]),
        ({"requests": 100, "failed": 4}, []),
        ({"requests": 49, "failed": 49}, []),
        ({"requests": 100, "limited": 20}, ["limited"]),
        ({"requests": 100, "limited": 19, "refused": 81}, []),
        ({"requests": 100, "limited": 20, "failed": 5}, ["errors", "limited"]),
    ],
)
def test_a_share_of_errors_or_of_limited_requests_is_told(
    counts: dict[str, int], expected: list[str]
) -> None:
    now = timezone.now()
    usage(now, **counts)

    assert kinds(now) == expected


def test_the_share_is_of_this_hour_and_the_last() -> None:
    now = timezone.now()
    usage(now, hours_ago=2, requests=100, failed=100)
    usage(now, hours_ago=1, requests=100, failed=10)

    ((kind, text),) = raised(now)
    assert kind == "errors"
    assert "10 of 100 requests" in text
    assert "10% of them" in text


def test_a_threshold_of_zero_raises_nothing(settings: Any) -> None:
    settings.ALERT_ERROR_PERCENT = settings.ALERT_LIMITED_PERCENT = 0
    usage(timezone.now(), requests=100, failed=100, limited=100)

    assert kinds() == []


def test_a_cause_is_told_once_a_window_and_again_after_it() -> None:
    now = timezone.now()
    usage(now, requests=100, failed=100)

    assert [kinds(now + timedelta(minutes=minutes)) for minutes in (0, 1, 10)] == [["errors"]] * 3
    Alert.objects.update(created_at=now - timedelta(hours=24))
    Alert.objects.update(window="before")
    assert kinds(now) == ["errors", "errors"]


def test_a_first_use_from_a_new_network_is_told() -> None:
    now, key = timezone.now(), issue(name="Billing").key
    used(key, "192.0.2.7", at=now - timedelta(days=3))
    used(key, "192.0.2.9", at=now - timedelta(hours=1))
    assert kinds() == []
    used(key, "198.51.100.1", at=now - timedelta(minutes=1))
    used(key, "2001:db8:1:2::1", at=now - timedelta(minutes=2))

    ((kind, text),) = raised(now)

    assert kind == "network"
    assert "from 2001:db8:1::/48, 198.51.100.0/24." in text


def test_networks_of_a_keys_first_day_are_learned() -> None:
    now, key = timezone.now(), issue().key
    used(key, "192.0.2.7", at=now - timedelta(hours=23))
    used(key, "198.51.100.1", at=now)

    assert kinds() == []


def test_a_network_is_new_once() -> None:
    now, key = timezone.now(), issue().key
    used(key, "192.0.2.7", at=now - timedelta(days=9))
    used(key, "198.51.100.1", at=now - timedelta(days=3))
    used(key, "198.51.100.1", at=now)

    assert kinds() == []
    assert KeyNetwork.objects.count() == 2


def test_a_revoked_key_that_is_still_tried_is_told() -> None:
    key, quiet = issue(name="Stolen").key, issue().key
    for each in (key, quiet):
        used(each, "192.0.2.7", at=timezone.now() - timedelta(days=3))
        lifecycle.revoke(each, actor=ACTOR)
    refused = {"is_key_accepted": False, "code": "key_revoked", "status": 401}
    used(key, "203.0.113.5", at=timezone.now(), **refused)

    ((kind, text),) = raised()

    assert kind == "revoked"
    assert "Stolen" in text
    assert "came from 203.0.113.0/24" in text


def test_what_was_refused_before_the_key_was_accepted_is_no_use() -> None:
    key = issue().key
    used(key, "192.0.2.7", at=timezone.now(), is_key_accepted=False, code="key_expired", status=401)
    used(key, "", at=timezone.now())

    assert not KeyNetwork.objects.exists()


def test_without_recipients_only_expiries_are_told(settings: Any) -> None:
    settings.ALERT_RECIPIENTS = []
    now = timezone.now()
    usage(now, requests=100, failed=100)
    issue(expires_at=now + timedelta(days=1))

    assert kinds(now) == ["expiry"]


def test_a_network_is_noted_at_its_first_use_whatever_comes_first() -> None:
    key, now = issue().key, timezone.now()
    batch = [
        record(key=key.pk, at=time_ns() // 1000 - seconds * 1_000_000, is_key_accepted=True,
               code="", status=200)
        for seconds in (5, 60, 30)
    ]  # fmt: skip

    networks.add(batch)

    first_used_at = KeyNetwork.objects.get().first_used_at
    assert first_used_at is not None
    assert timedelta(seconds=59) < now - first_used_at < timedelta(seconds=70)


def test_many_networks_and_keys_are_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(causes, "AT_ONCE", 2)
    now = timezone.now()
    keys = [issue(name=f"Key {number}").key for number in range(5)]
    for key in keys:
        used(key, "198.51.100.7", at=now - timedelta(days=3))
        for number in range(8):
            used(key, f"203.0.{number}.7", at=now - timedelta(hours=9 - number))
        lifecycle.revoke(key, actor=ACTOR)
        used(key, "192.0.2.7", at=now + timedelta(hours=1), is_key_accepted=False,
             code="key_revoked", status=401)  # fmt: skip

    found = raised(now + timedelta(hours=2))

    assert sorted(kind for kind, _ in found) == ["network"] * 5 + ["revoked"] * 5
    told = "203.0.3.0/24, 203.0.4.0/24, 203.0.5.0/24, 203.0.6.0/24, 203.0.7.0/24 and 3 more"
    assert sum(told in text for _, text in found) == 5
    assert len(raised(now + timedelta(hours=3))) == 10


def test_a_key_of_many_networks_costs_as_many_queries_as_another(
    django_assert_max_num_queries: Any,
) -> None:
    now = timezone.now()
    key = issue().key
    used(key, "198.51.100.7", at=now - timedelta(days=3))
    KeyNetwork.objects.bulk_create(
        KeyNetwork(key=key, network=f"203.{number // 200}.{number % 200}.0/24", first_used_at=now)
        for number in range(3000)
    )

    with django_assert_max_num_queries(20):
        causes.raise_alerts(now + timedelta(minutes=1))

    assert "and 2995 more" in Alert.objects.get().text
