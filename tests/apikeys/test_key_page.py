"""The key's page: its tabs, and what each says."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from apikeys import lifecycle
from apikeys.admin.key_page import TABS
from apikeys.environments import Environment
from apikeys.guard import throttling
from apikeys.limiter.store import CountersUnavailable
from apikeys.models import ApiKey
from logs.models import DailyPeak, HourlyUsage, PermissionUse
from tests.support.api_client import Caller
from tests.support.factories import ACTOR, client_of, issue, make_job, make_request, make_staff

pytestmark = pytest.mark.django_db


def open_tab(client: Client, key: ApiKey, tab: str = "", **asked: str) -> Any:
    address = reverse("admin:apikeys_apikey_change", args=(key.pk,))
    return client.get(address, ({"tab": tab} if tab else {}) | asked)


def shown_tabs(page: Any) -> list[str]:
    return re.findall(r'<a href="\?tab=(\w+)[^"]*" aria-current="page"', page.text)


@pytest.mark.parametrize("tab", TABS)
def test_each_tab_has_an_address_of_its_own(staff: Client, tab: str) -> None:
    page = open_tab(staff, issue(name="Gateway").key, tab)

    assert shown_tabs(page) == [tab]
    assert f"<title> {TABS[tab]} | Gateway | Latchkey</title>" in re.sub(r"\s+", " ", page.text)


@pytest.mark.parametrize("tab", ["", "nonesuch"])
def test_an_address_that_names_no_tab_shows_the_overview(staff: Client, tab: str) -> None:
    assert shown_tabs(open_tab(staff, issue().key, tab)) == ["overview"]


def test_the_overview_has_the_limits_and_says_which_are_defaults(staff: Client) -> None:
    page = open_tab(staff, issue(limit_minute=1200).key).text

    assert "<dd>1,200 per minute</dd><dd>20,000 per hour (default)</dd>" in page


def test_the_settings_mark_permissions_that_are_not_used(staff: Client) -> None:
    key, now = issue(permissions=["customers:read", "jobs:run", "jobs:read"]).key, timezone.now()
    PermissionUse.objects.create(key=key, permission="customers:read", last_used_at=now)
    PermissionUse.objects.create(
        key=key, permission="jobs:run", last_used_at=now - timedelta(days=31)
    )

    page = open_tab(staff, key, "settings").text

    assert re.findall(r"<code>([a-z:]+)</code>\s*<em>([^<]+)</em>", page) == [
        ("jobs:read", "Never used"),
        ("jobs:run", "Not used for 30 days"),
    ]


def test_the_secrets_say_when_the_last_request_came_with_each(staff: Client) -> None:
    key = issue().key
    make_request(key=key)
    lifecycle.regenerate(key, actor=ACTOR, overlap=timedelta(hours=1))

    page = open_tab(staff, key, "secrets").text
    rows = re.findall(r"<tr>\s*<td>(\d)</td>(.*?)</tr>", page, re.DOTALL)

    said = dict(rows)
    assert "None among the key's newest requests" in unescape(said["2"])
    assert "a moment ago" in said["1"]


def test_a_tab_keeps_the_filters_of_the_list_that_the_page_came_from(staff: Client) -> None:
    page = open_tab(staff, issue().key, "audit", _changelist_filters="status=active")

    assert 'href="?tab=settings&amp;_changelist_filters=status%3Dactive"' in page.text


def test_only_the_tab_that_is_shown_is_computed(staff: Client) -> None:
    key = issue().key
    tables = {"requests": "logs_requestlog", "jobs": "jobs_job", "secrets": "secretversion"}

    for tab in ("settings", "audit", *tables):
        with CaptureQueriesContext(
            connection,
        ) as queries:
            open_tab(staff, key, tab)
        read = " ".join(query["sql"] for query in queries)
        also = {"requests"} if tab == "secrets" else set()
        assert {name for name, table in tables.items() if table in read} - also == (
            {tab} & set(tables)
        )


def test_a_tab_of_what_a_person_may_not_see_is_not_there(staff: Client) -> None:
    key = issue().key
    make_request(key=key, path="/api/production/v1/secret-place")
    make_job(key)
    person = make_staff()
    permissions = make_staff("Auditor").groups.get().permissions
    person.user_permissions.add(permissions.get(codename="view_apikey"))
    client = Client()
    client.force_login(person)

    page = open_tab(client, key, "requests")

    (tabs,) = re.findall(r'<nav class="latchkey-page-tabs".*?</nav>', page.text, re.DOTALL)
    assert re.findall(r"\?tab=(\w+)", tabs) == ["overview", "settings", "secrets"]
    assert "secret-place" not in page.text
    assert "secret-place" in open_tab(staff, key, "requests").text


def test_saving_stays_on_the_page_and_in_the_tab(staff: Client) -> None:
    key = issue().key
    address = reverse("admin:apikeys_apikey_change", args=(key.pk,)) + "?tab=settings"
    form = staff.get(address).context["adminform"].form
    values = {field.html_name: field.value() for field in form if field.value()}

    response = staff.post(address, values | {"name": "Renamed"}, follow=True)

    assert response.redirect_chain == [(address, 302)]
    assert "changed successfully" in response.text
    assert 'value="Renamed"' in response.text


def test_a_refused_save_shows_the_settings_whatever_the_address_says(staff: Client) -> None:
    key = issue(name="Stored").key
    lifecycle.revoke(key, actor=ACTOR)

    page = staff.post(reverse("admin:apikeys_apikey_change", args=(key.pk,)), {"name": ""})

    assert shown_tabs(page) == ["settings"]
    assert 'id="form-errors"' in page.text


def verdict_of(page: Any) -> str:
    match = re.search(r'aria-label="Verdict">(.*?)</section>', page.text, re.DOTALL)
    assert match is not None
    return unescape(" ".join(re.sub(r"<[^>]*>", " ", match[1]).split()))


def test_a_revoked_key_says_by_whom_when_and_why(staff: Client) -> None:
    key = issue().key
    lifecycle.revoke(key, actor=ACTOR, reason="Laptop lost")

    said = verdict_of(open_tab(staff, key))

    assert re.match(
        r"Inactive Revoked by a test on \d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC , a moment ago"
        r" : Laptop lost",
        said,
    )


def test_the_verdict_tells_use_refusals_and_what_is_unusual(staff: Client) -> None:
    key = issue(permissions=["customers:read"], limit_hour=0).key
    bare = issue().key
    HourlyUsage.objects.create(
        hour=timezone.now().replace(minute=0, second=0, microsecond=0), environment="production",
        key_id=key.pk, requests=2000, succeeded=1932, refused=60, limited=8,
    )  # fmt: skip
    for code in ("rate_limited", "permission_denied", "permission_denied"):
        make_request(key=key, status=403, code=code)

    said = verdict_of(open_tab(staff, key))

    assert "2,000 requests in 24 hours" in said
    assert "3.4 % refused, mostly permission_denied" in said
    assert "Granted and never used: Customer Read" in said
    assert "Never expires" in said
    assert "Blocked by a limit of 0 per hour" in said
    assert "No permission is granted" in verdict_of(open_tab(staff, bare))


def test_what_is_granted_and_never_used_is_bad_after_a_month(staff: Client) -> None:
    key = issue(permissions=["customers:read"]).key
    finding = re.compile(r'<li class="latchkey-bad"><a [^>]*>Granted and never used')

    young = open_tab(staff, key).text
    ApiKey.objects.filter(pk=key.pk).update(created_at=timezone.now() - timedelta(days=31))

    assert not finding.search(young)
    assert finding.search(open_tab(staff, key).text)


def test_what_a_revoked_key_never_used_is_of_no_interest(staff: Client) -> None:
    key = issue(permissions=["customers:read"]).key
    lifecycle.revoke(key, actor=ACTOR)

    assert "Granted and never used" not in verdict_of(open_tab(staff, key))


def test_who_may_not_see_requests_is_told_none_of_them() -> None:
    key = issue(permissions=["customers:read"]).key
    make_request(key=key)
    person = make_staff()
    view = make_staff("Auditor").groups.get().permissions.get(codename="view_apikey")
    person.user_permissions.add(view)
    client = Client()
    client.force_login(person)

    said = verdict_of(open_tab(client, key))

    assert "request" not in said
    assert "Granted" not in said


def test_a_limit_tells_its_number_what_is_used_and_the_peak(staff: Client) -> None:
    issued = issue(limit_minute=12)
    Caller(issued).get("key")
    DailyPeak.objects.create(
        key_id=issued.key.pk, day=timezone.now().date(), busiest=31, minute=0, requests=31
    )

    text = open_tab(staff, issued.key, "settings").text

    assert "1 of 12 used now. Busiest minute of the last 30 days: 31." in text
    assert 'placeholder="600 (default)"' in text
    assert "1 of 20,000 used now. Blank: the default. 0: no requests at all." in text


def test_looking_at_the_settings_uses_nothing_up(staff: Client) -> None:
    issued = issue(limit_minute=1)

    for _ in range(3):
        open_tab(staff, issued.key, "settings")

    assert Caller(issued).get("key").status_code == 200


def test_the_settings_open_while_the_counters_are_away(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = issue().key

    def away(*_: Any) -> None:
        raise CountersUnavailable("away")

    monkeypatch.setattr(throttling, "peek", away)
    page = open_tab(staff, key, "settings")

    assert page.status_code == 200
    assert "used now" not in page.text


def test_every_wrong_field_is_told_in_one_round(staff: Client) -> None:
    address = reverse("admin:apikeys_apikey_add")
    form = staff.get(address).context["adminform"].form
    values = {field.html_name: field.value() for field in form if field.value()}
    wrong = {"name": " ", "limit_minute": "-5", "networks": "10.0.0.0/33 foo", "expiry": "custom",
             "expires_on": "2020-01-01T00:00"}  # fmt: skip

    errors = staff.post(address, values | wrong).context["adminform"].form.errors

    assert set(errors) == {"name", "limit_minute", "networks", "expires_on"}


@pytest.mark.parametrize(
    ("name", "environment", "is_known"),
    [
        ("Gateway", "production", True),
        (" gateway ", "production", True),
        ("Gateway", "staging", False),
        ("Gate", "production", False),
        ("", "production", False),
        ("Gate\0way", "moon", False),
    ],
)
def test_a_name_that_a_key_of_the_environment_has_is_told(
    staff: Client, name: str, environment: str, is_known: bool
) -> None:
    key = issue(name="Gateway").key
    asked = {"name": name, "environment": environment}

    page = staff.get(reverse("admin:apikeys_apikey_same_name"), asked)

    assert (key.pk in page.text) == is_known


def test_who_creates_no_key_is_told_no_name() -> None:
    address = reverse("admin:apikeys_apikey_same_name")

    assert client_of("Key operator").get(address).status_code == 403


@pytest.mark.parametrize("is_busy", [True, False])
def test_regenerating_a_key_in_use_proposes_an_overlap(staff: Client, is_busy: bool) -> None:
    key = issue().key
    used = timezone.now() - timedelta(minutes=5 if is_busy else 90)
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=used)

    page = staff.get(reverse("admin:apikeys_apikey_regenerate", args=(key.pk,)))

    assert page.context["form"]["overlap"].value() == (3600 if is_busy else 0)
    assert ("It was used in the last hour" in page.text) == is_busy


def test_a_revoked_key_is_offered_no_overlap(staff: Client) -> None:
    key = issue().key
    lifecycle.revoke(key, actor=ACTOR)
    ApiKey.objects.filter(pk=key.pk).update(last_used_at=timezone.now())

    page = staff.get(reverse("admin:apikeys_apikey_regenerate", args=(key.pk,)))

    assert page.context["form"]["overlap"].value() == 0


@pytest.mark.parametrize("action", ["revoke", "regenerate"])
def test_a_dialog_names_the_key_and_its_impact(staff: Client, action: str) -> None:
    key = issue(name="Dev Gateway").key
    for number in range(3):
        make_request(key=key, address=f"198.51.100.{number % 2}")

    page = staff.get(reverse(f"admin:apikeys_apikey_{action}", args=(key.pk,)))

    assert page.text.count(f"{action.capitalize()} Dev Gateway") == 2
    assert "Production. 3 requests in the last hour, from 2 addresses." in page.text
    assert ("bg-red-600" in page.text) == (action == "revoke")


def select(client: Client, action: str, keys: list[ApiKey]) -> Any:
    body = {"action": action, "_selected_action": [key.pk for key in keys]}
    return client.post(reverse("admin:apikeys_apikey_changelist"), body, follow=True)


def test_a_bulk_dialog_counts_by_environment_and_leaves_out_what_is_done(staff: Client) -> None:
    keys = [issue().key for _ in range(3)] + [issue(environment=Environment.STAGING).key]
    lifecycle.revoke(keys[0], actor=ACTOR)

    page = select(staff, "revoke_selected", keys)

    assert "<h2>Revoke 3 keys</h2>" in page.text
    assert "2 production, 1 staging." in page.text
    assert "1 more selected is revoked already and left out." in page.text
    assert keys[0].pk not in page.text


def test_a_bulk_dialog_about_nothing_says_so(staff: Client) -> None:
    page = select(staff, "activate_selected", [issue().key])

    assert "None of the keys selected is revoked. Select others." in page.text
