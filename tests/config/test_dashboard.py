"""The front page's numbers: of now with few keys, of the last minute with many."""

import pytest
from django.test import Client
from django.utils import timezone

from config.admin_site import dashboard
from logs.models import HourlyUsage
from tests.support.factories import issue


def requests_shown(client: Client) -> int:
    traffic = client.get("/admin/").context["traffic"]
    return sum(row["total"]["requests"] for row in traffic)


def use(key_id: str) -> None:
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    HourlyUsage.objects.create(
        hour=hour, environment="production", key_id=key_id, requests=1, succeeded=1
    )


@pytest.fixture(autouse=True)
def _nothing_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dashboard, "_kept", {})


def test_with_few_keys_the_numbers_are_those_of_now(admin_client: Client) -> None:
    issue()

    assert requests_shown(admin_client) == 0
    use("k1")
    assert requests_shown(admin_client) == 1


def test_with_many_keys_the_numbers_are_kept_for_a_while(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "MANY_KEYS", 0)
    issue()
    assert requests_shown(admin_client) == 0

    use("k1")

    assert requests_shown(admin_client) == 0
    monkeypatch.setattr(dashboard, "KEPT_SECONDS", 0)
    assert requests_shown(admin_client) == 1


def test_with_many_keys_a_new_key_is_counted_at_once(
    admin_client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "MANY_KEYS", 0)
    issue()
    admin_client.get("/admin/")

    issue()

    (shown,) = [
        row for row in admin_client.get("/admin/").context["environments"]
        if row["value"] == "production"
    ]  # fmt: skip
    assert shown["counts"][0][2] == 2
