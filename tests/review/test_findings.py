"""Each finding finds the keys that it is about, most urgent first, and no others."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apikeys import lifecycle
from apikeys.environments import Environment
from apikeys.models import ApiKey, SecretVersion
from logs.models import HourlyUsage, PermissionUse
from review import findings
from tests.support.factories import ACTOR, expire, issue, make_request, make_staff

pytestmark = pytest.mark.django_db


def days_ago(days: float) -> datetime:
    return timezone.now() - timedelta(days=days)


def make_key(*, age: float = 0, used: float | None = None, **settings: Any) -> ApiKey:
    """Make a key that is so many days old, and was last used so many days ago."""
    settings.setdefault("environment", Environment.STAGING)
    key = issue(**settings).key
    last_used_at = None if used is None else days_ago(used)
    ApiKey.objects.filter(pk=key.pk).update(created_at=days_ago(age), last_used_at=last_used_at)
    key.refresh_from_db()
    return key


def found(name: str) -> list[str]:
    return [key.name for key in findings.BY_NAME[name].keys(timezone.now())]


def sentence(name: str) -> str:
    now = timezone.now()
    (key,) = findings.BY_NAME[name].keys(now)
    return findings.BY_NAME[name].tell([key], now)[key.pk]


def test_what_stopped_being_used_comes_before_what_never_was() -> None:
    make_key(name="Never, newer", age=100)
    make_key(name="Stopped", age=200, used=91)
    make_key(name="In use", age=200, used=89)
    make_key(name="Stopped long ago", age=200, used=133)
    make_key(name="Never, older", age=150)
    make_key(name="New", age=89)
    revoked = make_key(name="Revoked", age=200, used=150)
    lifecycle.revoke(revoked, actor=ACTOR)

    assert found("unused") == ["Stopped long ago", "Stopped", "Never, older", "Never, newer"]


def test_a_sentence_says_for_how_long_a_key_was_not_used() -> None:
    make_key(age=200, used=133)

    assert sentence("unused") == "Not used for 133 days."


def test_permissions_without_use_are_found_on_keys_that_are_used() -> None:
    def with_uses(name: str, *uses: tuple[str, float], **settings: Any) -> None:
        key = make_key(name=name, permissions=["customers:read", "jobs:run"], **settings)
        for permission, days in uses:
            used = days_ago(days)
            PermissionUse.objects.create(key=key, permission=permission, last_used_at=used)

    with_uses("All used", ("customers:read", 1), ("jobs:run", 29), age=31, used=0)
    with_uses("One used", ("customers:read", 1), ("jobs:run", 31), age=31, used=0)
    with_uses("Another's", ("customers:read", 1), ("logs:read", 1), age=40, used=0)
    with_uses("Too new", age=29, used=0)
    with_uses("Not used at all", age=200, used=100)
    make_key(name="Without permissions", age=50, used=0)

    assert found("permissions") == ["Another's", "One used"]


def test_a_permission_is_found_by_its_whole_code() -> None:
    key = make_key(age=31, used=0, permissions=["jobs:run", "logs:read"])
    for permission in ("logs:read", "obs:run", "jobs:ru"):
        PermissionUse.objects.create(key=key, permission=permission, last_used_at=days_ago(1))

    assert sentence("permissions") == "Not used for 30 days: Job Run."


def test_production_keys_need_an_expiry_and_a_network() -> None:
    later, production = timezone.now() + timedelta(days=60), Environment.PRODUCTION
    make_key(name="Neither", environment=production)
    make_key(name="Expiry", environment=production, expires_at=later)
    make_key(name="Network", environment=production, networks=["10.0.0.0/8"])
    make_key(name="Staging")

    assert found("no-expiry") == ["Neither", "Network"]
    assert found("no-network") == ["Neither", "Expiry"]


def test_keys_that_expire_soon_are_found_the_nearest_first() -> None:
    for days in (31, 29, 3):
        make_key(name=f"{days}", expires_at=timezone.now() + timedelta(days=days))
    expire(make_key(name="Expired"))

    assert found("expiring") == ["3", "29"]


def test_many_refusals_are_found_with_share_count_and_code() -> None:
    def with_usage(name: str, hours: float = 1, **usage: int) -> ApiKey:
        key = make_key(name=name, used=0)
        hour = days_ago(hours / 24)
        HourlyUsage.objects.create(key_id=key.pk, hour=hour, environment="staging", **usage)
        return key

    key = with_usage("Some", requests=100, refused=19, limited=1)
    with_usage("More", requests=90, limited=90)
    with_usage("Few", requests=19, refused=19)
    with_usage("A small share", requests=1000, refused=99)
    with_usage("Yesterday", hours=25, requests=100, refused=100)
    for code in ("permission_denied", "rate_limited", "permission_denied", ""):
        make_request(key=key, code=code)

    now = timezone.now()
    assert found("refused") == ["More", "Some"]
    assert findings.BY_NAME["refused"].tell([key], now)[key.pk] == (
        "20 % of 100 requests refused in 24 hours, most often permission_denied."
    )


def test_only_a_current_secret_can_be_old() -> None:
    old, renewed = make_key(name="Old"), make_key(name="Renewed")
    SecretVersion.objects.update(created_at=days_ago(181))
    lifecycle.regenerate(renewed, actor=ACTOR, overlap=timedelta(hours=1))
    make_key(name="New")

    assert found("old-secret") == [old.name]


def test_the_overview_leads_to_the_unused_keys_with_one_click() -> None:
    client = Client()
    client.force_login(make_staff("Auditor"))
    key = make_key(age=200, used=133)
    overview = client.get(reverse("admin:index"))
    link = reverse("admin:review_finding", args=["unused"])

    page = client.get(link)

    assert f'<a href="{link}"><strong>1</strong> Not used for 90 days</a>' in overview.text
    assert reverse("admin:apikeys_apikey_change", args=[key.pk]) in page.text
    assert "data-select-all" not in page.text


def test_a_page_of_the_queue_offers_what_the_person_may_do() -> None:
    make_key(environment=Environment.PRODUCTION)
    page = reverse("admin:review_finding", args=["no-expiry"])

    def buttons(role: str) -> list[str]:
        client = Client()
        client.force_login(make_staff(role))
        return [remedy.label for remedy in client.get(page).context["remedies"]]

    assert buttons("Key administrator") == ["Expire in 90 days", "Expire in a year", "Revoke"]
    assert buttons("Key operator") == ["Revoke"]
    assert buttons("Auditor") == []


def test_the_page_of_a_key_says_what_to_review_with_a_button() -> None:
    client = Client()
    client.force_login(make_staff("Key administrator"))
    key = make_key(environment=Environment.PRODUCTION, networks=["10.0.0.0/8"])

    page = client.get(reverse("admin:apikeys_apikey_change", args=[key.pk]))

    assert "Never expires, created" in page.text
    assert f"key={key.pk}&amp;expires=90d" in page.text
    assert "Accepted from any address" not in page.text


def test_an_unknown_finding_is_not_found() -> None:
    client = Client()
    client.force_login(make_staff("Auditor"))

    assert client.get(reverse("admin:review_finding", args=["nothing"])).status_code == 404


def test_the_queue_needs_the_rights_to_keys_and_requests() -> None:
    client = Client()
    client.force_login(make_staff())

    assert client.get(reverse("admin:review_queue")).status_code == 403


def test_the_command_prints_the_findings_and_exits_three(capsys: Any) -> None:
    key = make_key(age=200, used=133, name="Orphan")
    with pytest.raises(SystemExit) as found_some:
        call_command("review_keys", "--json")

    objects = json.loads(capsys.readouterr().out)
    lifecycle.revoke(key, actor=ACTOR)
    call_command("review_keys", "--finding", "unused")

    assert found_some.value.code == 3
    assert [row["id"] for row in objects["unused"]] == [key.pk]
    assert objects["expiring"] == []
    assert capsys.readouterr().out == ""
