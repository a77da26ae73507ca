"""A proposed change is shown as a difference, and applied as it was shown or not at all."""

import re
from datetime import timedelta
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apikeys import lifecycle
from apikeys.models import ApiKey
from audit.models import Event
from logs.models import PermissionUse
from tests.support.factories import ACTOR, client_of, issue

pytestmark = pytest.mark.django_db


def address(*keys: ApiKey, **change: Any) -> str:
    query = urlencode({"key": [key.pk for key in keys], **change}, doseq=True)
    return f"{reverse('admin:apikeys_apikey_propose')}?{query}"


def confirm(client: Client, page: Any, **fields: str) -> Any:
    """Press the button of the page."""
    form = {name: page.context[name] for name in ("shown", "reason")}
    path = f"{page.request['PATH_INFO']}?{page.request['QUERY_STRING']}"
    return client.post(path, {**form, "next": page.context["next"], **fields})


def words(page: Any) -> str:
    return " ".join(unescape(re.sub("<[^>]+>", " ", page.text)).split())


def revisions() -> set[int]:
    return set(ApiKey.objects.values_list("revision", flat=True))


def test_the_page_shows_the_difference_and_changes_nothing(staff: Client) -> None:
    key = issue(permissions=["customers:read"], limit_minute=12).key

    page = staff.get(
        address(key, add_permission="customers:write", remove_permission="customers:read",
                limit_minute=40, limit_day=7)
    )  # fmt: skip

    text = words(page)
    assert "Customer Write not granted → granted Can do more" in text
    assert "Customer Read granted → removed Can do less" in text
    assert "Limit per minute 12 → 40 Can do more" in text
    assert "Limit per day 200,000 (default) → 7 Can do less" in text
    assert "1 key can do more afterwards" in text
    assert revisions() == {1}


def test_confirming_applies_it_with_one_event_each_and_goes_back(staff: Client) -> None:
    keys = [issue(permissions=["jobs:run"]).key for _ in range(2)]
    page = staff.get(address(*keys, add_permission="logs:read", reason="Asked", next="/admin/?a=b"))

    response = confirm(staff, page)

    assert (response.status_code, response["Location"]) == (302, "/admin/?a=b")
    assert {key.permissions for key in ApiKey.objects.all()} == {("jobs:run", "logs:read")}
    events = Event.objects.filter(action="updated")
    assert [event.reason for event in events] == ["Asked", "Asked"]
    assert {event.object_id for event in events} == {key.pk for key in keys}


def test_a_key_that_is_so_already_is_listed_apart_and_left_alone(staff: Client) -> None:
    given, missing = issue(permissions=["logs:read"]).key, issue().key
    page = staff.get(address(given, missing, add_permission="logs:read"))

    confirm(staff, page)

    assert page.context["unchanged"] == [given]
    assert "Not changed" in words(page)
    assert not Event.objects.about(given).filter(action="updated").exists()
    assert Event.objects.about(missing).filter(action="updated").count() == 1


def test_what_is_applied_is_what_was_shown(staff: Client) -> None:
    key = issue(permissions=["customers:read", "jobs:run"]).key
    page = staff.get(address(key, remove_unused=1))
    used_since = PermissionUse(key=key, permission="jobs:run", last_used_at=timezone.now())
    used_since.save()

    confirm(staff, page)

    assert "Job Run granted → removed" in words(page)
    assert ApiKey.objects.get().permissions == ()


def test_unused_permissions_are_those_without_use_for_thirty_days(staff: Client) -> None:
    key = issue(permissions=["customers:read", "customers:write", "jobs:run"]).key
    for permission, days in (("customers:read", 29), ("customers:write", 31)):
        used = timezone.now() - timedelta(days=days)
        PermissionUse.objects.create(key=key, permission=permission, last_used_at=used)

    confirm(staff, staff.get(address(key, remove_unused=1)))

    assert ApiKey.objects.get().permissions == ("customers:read",)


@pytest.mark.parametrize("change", [{"add_permission": "logs:read"}, {"revoke": 1}])
def test_a_key_that_changed_since_is_refused_and_no_other_is_changed(
    staff: Client, change: Any
) -> None:
    keys = [issue().key for _ in range(3)]
    page = staff.get(address(*keys, **change))
    last = max(keys, key=lambda key: key.pk)
    lifecycle.update(last, actor=ACTOR, name="Renamed")

    response = confirm(staff, page)

    assert response.status_code == 409
    assert "Renamed" in response.text
    assert "Reload it and try again" in words(response)
    assert sorted(ApiKey.objects.values_list("revision", flat=True)) == [1, 1, 2]


def test_a_revocation_is_shown_and_done_with_its_reason(staff: Client) -> None:
    key, gone = issue().key, issue().key
    lifecycle.revoke(gone, actor=ACTOR)
    page = staff.get(address(key, gone, revoke=1, reason="Unused"))

    confirm(staff, page)

    assert "Status Active → Inactive Can do less" in words(page)
    assert [event.reason for event in Event.objects.about(key).filter(action="revoked")] == [
        "Unused"
    ]
    assert Event.objects.about(gone).filter(action="revoked").count() == 1


@pytest.mark.parametrize(
    ("networks", "says"),
    [
        ((), "any → 10.1.0.0/16 Can do less"),
        (("192.0.2.0/24",), "192.0.2.0/24 → 192.0.2.0/24, 10.1.0.0/16 Can do more"),
        (("10.0.0.0/8",), "10.0.0.0/8 → 10.0.0.0/8, 10.1.0.0/16 Can do the same"),
    ],
)
def test_the_first_network_keeps_others_out_and_a_further_one_lets_more_in(
    staff: Client, networks: tuple[str, ...], says: str
) -> None:
    key = issue(networks=networks).key

    page = staff.get(address(key, add_network="10.1.0.0/16"))

    assert says in words(page)


def test_an_expiry_is_set_as_it_was_shown(staff: Client) -> None:
    key = issue().key
    page = staff.get(address(key, expires="90d"))

    confirm(staff, page)

    expires_at = ApiKey.objects.get().expires_at
    assert expires_at is not None
    assert f"Expires never → {expires_at:%Y-%m-%d %H:%M} UTC Can do less" in words(page)


def test_tags_and_owner_are_changed_and_fields_left_blank_are_not(staff: Client) -> None:
    key = issue(tags=["beta", "web"], owner="Ada").key
    blank = {"limit_minute": "", "expires": "", "add_network": ""}
    page = staff.get(address(key, add_tag="team:a, web", remove_tag="beta", owner="Zoe", **blank))

    confirm(staff, page)

    changed = ApiKey.objects.get()
    assert "Tags beta, web → team:a, web Can do the same" in words(page)
    assert "Owner Ada → Zoe Can do the same" in words(page)
    assert (changed.tags, changed.owner) == (("team:a", "web"), "Zoe")
    assert (changed.limit_minute, changed.expires_at, changed.networks) == (None, None, ())


def edit_address(*keys: ApiKey) -> str:
    query = urlencode({"key": [key.pk for key in keys]}, doseq=True)
    return f"{reverse('admin:apikeys_apikey_edit')}?{query}"


def test_the_form_for_many_keys_leads_to_their_difference_and_changes_nothing(
    staff: Client,
) -> None:
    keys = [
        issue(permissions=["jobs:run", "logs:read"], limit_minute=5).key,
        issue(permissions=["jobs:run"]).key,
    ]

    form = staff.get(edit_address(*keys)).text.partition("/apikey/propose/")[2]
    names = set(re.findall(r'name="(\w+)"', form.partition("</form>")[0]))
    filled = {"limit_minute": "7", "expires": "30d", "remove_permission": "logs:read"}
    sent = {name: filled.get(name, "") for name in names - {"key", "add_permission"}}
    page = staff.get(address(*keys, **{**sent, "next": "/admin/"}))

    assert filled.keys() <= names
    text = words(page)
    assert text.count("Limit per minute") == text.count("Expires never →") == 2
    assert text.count("Log Read granted → removed") == 1
    assert revisions() == {1}
    confirm(staff, page)
    assert Event.objects.filter(action="updated").count() == 2


def test_the_form_offers_what_can_be_added_and_removed(staff: Client) -> None:
    keys = [issue(permissions=held).key for held in (["jobs:run", "logs:read"], ["jobs:run"])]

    page = staff.get(edit_address(*keys)).text

    def offered(name: str) -> set[str]:
        return set(re.findall(rf'name="{name}" value="([^"]+)"', page))

    assert offered("remove_permission") == {"jobs:run", "logs:read"}
    assert "jobs:run" not in offered("add_permission")
    assert {"logs:read", "customers:read"} <= offered("add_permission")


@pytest.mark.parametrize(
    ("role", "status", "widens"),
    [("Key administrator", 200, True), ("Key operator", 200, False), ("Auditor", 403, False)],
)
def test_the_form_asks_for_what_the_person_may_change(role: str, status: int, widens: bool) -> None:
    page = client_of(role).get(edit_address(issue(permissions=["jobs:run"]).key))

    assert page.status_code == status
    assert ('name="expires"' in page.text) == widens
    assert ('name="limit_minute"' in page.text) == (status == 200)


@pytest.mark.parametrize("keys", [0, 201])
def test_the_form_asks_about_some_keys_and_not_too_many(staff: Client, keys: int) -> None:
    query = urlencode({"key": [f"{number:012}" for number in range(keys)]}, doseq=True)

    page = staff.get(f"{reverse('admin:apikeys_apikey_edit')}?{query}")

    assert page.status_code == 400
    assert "selected" in words(page)


@pytest.mark.parametrize(
    "change",
    [
        {"add_tag": "Team"},
        {"owner": "x" * 101},
        {"add_permission": "no:such"},
        {"limit_minute": "1_0"},
        {"limit_hour": "-1"},
        {"limit_day": "1000000001"},
        {"add_network": "10.0.0.1/8"},
        {"expires": "soon"},
        {"expires": "2001-01-01T00:00Z"},
        {"colour": "red"},
        {"revoke": "1", "expires": "90d"},
        {"reason": "x" * 501, "revoke": "1"},
        {},
    ],
)
def test_wrong_input_is_refused_in_two_sentences(staff: Client, change: dict[str, str]) -> None:
    page = staff.get(address(issue().key, **change))

    assert page.status_code == 400
    assert len(re.findall(r"[.!](?= |$)", page.context["refused"])) == 2
    assert "shown" not in page.context


@pytest.mark.parametrize("key_id", ["A1b2C3d4E5f6", "a\0b", "", "x" * 500])
def test_an_unknown_key_is_refused(staff: Client, key_id: str) -> None:
    query = urlencode({"key": key_id, "revoke": 1})

    page = staff.get(f"{reverse('admin:apikeys_apikey_propose')}?{query}")

    assert page.status_code == 400


@pytest.mark.parametrize(
    ("role", "change", "status"),
    [
        ("Auditor", {"remove_permission": "jobs:run"}, 403),
        ("Auditor", {"revoke": 1}, 403),
        ("Key operator", {"remove_permission": "jobs:run"}, 200),
        ("Key operator", {"revoke": 1}, 200),
        ("Key operator", {"add_permission": "logs:read"}, 403),
        ("Key operator", {"expires": "90d"}, 403),
    ],
)
def test_nobody_is_offered_more_than_they_may(role: str, change: Any, status: int) -> None:
    person = client_of(role)
    key = issue(permissions=["jobs:run"]).key

    page = person.get(address(key, **change))

    assert page.status_code == status
    if status == 200:
        assert confirm(person, page).status_code == 302
        assert ApiKey.objects.get().revision == 2


def test_a_page_that_somebody_else_opened_gives_no_right(staff: Client) -> None:
    page = staff.get(address(issue().key, add_permission="logs:read"))

    responses = [confirm(client_of(role), page) for role in ("Key operator", "Auditor")]

    assert [response.status_code for response in responses] == [403, 403]
    assert revisions() == {1}


def test_a_way_back_within_a_name_of_this_host_stays_on_it(staff: Client) -> None:
    page = staff.get(
        address(issue().key, add_permission="logs:read", next="http://testserver//evil.example/")
    )

    assert page.context["next"] == "/evil.example/"
    assert confirm(staff, page)["Location"] == "/evil.example/"


def test_an_altered_page_changes_nothing(staff: Client) -> None:
    page = staff.get(address(issue().key, add_permission="logs:read"))

    response = confirm(staff, page, shown=page.context["shown"][:-1])

    assert response.status_code == 409
    assert revisions() == {1}


@pytest.mark.parametrize("elsewhere", ["https://evil.example/", "//evil.example", "javascript:a"])
def test_the_way_back_leads_nowhere_else(staff: Client, elsewhere: str) -> None:
    key = issue().key

    page = staff.get(address(key, add_permission="logs:read", next=elsewhere))

    assert page.context["next"] == reverse("admin:apikeys_apikey_change", args=[key.pk])
    assert confirm(staff, page, next=elsewhere)["Location"] == page.context["next"]


def test_a_visitor_without_an_account_is_sent_to_the_login() -> None:
    page = Client().get(address(issue().key, revoke=1))

    assert page.status_code == 302
    assert reverse("admin:login") in page["Location"]
