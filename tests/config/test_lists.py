"""What every list shows above its table: segments, chips and saved filters."""

import re
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apikeys.models import ApiKey
from backoffice.changelists.saved_filters import MAX_SAVED
from backoffice.models import SavedFilter
from logs.models import HourlyUsage
from tests.support import factories

pytestmark = pytest.mark.django_db
KEYS = "/admin/apikeys/apikey/"
SAVE = "/admin/saved-filters/apikeys_apikey/"


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(factories.make_staff(is_superuser=True))
    return client


def chips(page: Any) -> dict[str, str]:
    """Return the chips of a page, each with the address that removes it."""
    items = re.findall(
        r'latchkey-chip"><span>(.*?)</span><a href="(.*?)" aria-label="Remove',
        page.content.decode(),
    )
    return {unescape(re.sub("<.*?>", "", text)): unescape(address) for text, address in items}


def segments(page: Any) -> dict[str, bool]:
    """Return the segments' addresses, and whether each is in force."""
    navigations = re.findall(
        r'<nav class="latchkey-segments".*?</nav>', page.content.decode(), re.DOTALL
    )
    return {
        unescape(address): "aria-current" in rest
        for navigation in navigations
        for address, rest in re.findall(r'<a href="(.*?)"(.*?)>', navigation)
    }


def test_a_filter_in_force_is_a_chip_that_removes_it_alone(admin: Client) -> None:
    page = admin.get(KEYS, {"permission": "customers:read", "status": "active", "p": "0"})

    assert chips(page) == {
        "Permission: Customer Read": "?status=active",
        "Status: Active": "?permission=customers%3Aread",
    }
    assert chips(admin.get(KEYS)) == {}


def test_chips_name_rows_times_and_the_search(admin: Client) -> None:
    key = factories.issue(name="Billing <Sync>").key
    query = {"key__id__exact": key.pk, "at_from_0": "2026-11-01", "at_from_1": "10:00", "q": "cust"}

    shown = chips(admin.get("/admin/logs/requestlog/", query))

    assert set(shown) == {
        "Search: cust",
        f"Key: Billing <Sync> ({key.pk})",
        "Time: from 2026-11-01 10:00",
    }
    assert shown["Time: from 2026-11-01 10:00"] == f"?key__id__exact={key.pk}&q=cust"


def test_a_chip_tells_no_name_to_those_who_may_not_see_the_row(client: Client) -> None:
    key = factories.issue(name="Hidden").key
    person = factories.make_staff()
    person.user_permissions.add(*factories.permissions("view_requestlog"))
    client.force_login(person)

    page = client.get("/admin/logs/requestlog/", {"key__id__exact": key.pk})

    assert list(chips(page)) == [f"Key: {key.pk}"]


def test_segments_keep_the_other_filters_and_show_what_is_in_force(admin: Client) -> None:
    page = admin.get(KEYS, {"environment__exact": "staging", "use": "never", "p": "0"})

    found = segments(page)

    assert found["?environment__exact=staging&use=never"]
    assert not found["?use=never"]
    assert not found["?use=never&environment__exact=production"]
    assert not found["?environment__exact=staging&use=never&status=expired"]


@pytest.mark.parametrize(
    "address",
    ["customers/customer/", "customers/license/", "jobs/job/", "logs/requestlog/"],
)
def test_lists_with_an_environment_and_a_status_have_both_as_segments(
    admin: Client, address: str
) -> None:
    found = segments(admin.get(f"/admin/{address}"))

    assert found["?environment__exact=production"] is False
    assert any("status" in one for one in found)


def test_filters_are_saved_under_a_name_opened_and_deleted(admin: Client) -> None:
    query = "status=active&permission=customers%3Aread"

    saved = admin.post(SAVE, {"name": "Readers", "query": f"{query}&p=3"})

    assert saved["Location"] == f"{KEYS}?{query}"
    page = admin.get(saved["Location"]).content.decode()
    assert f'href="?{query.replace("&", "&amp;")}" aria-current="true">Readers</a>' in page
    admin.post(SAVE, {"name": "Readers", "query": "status=expired"})
    row = SavedFilter.objects.get()
    assert (row.name, row.query) == ("Readers", "status=expired")
    admin.post(f"{SAVE}{row.pk}/delete/")
    assert not SavedFilter.objects.exists()


def test_saved_filters_are_of_one_person_and_one_list(admin: Client, client: Client) -> None:
    admin.post(SAVE, {"name": "Mine", "query": "status=active"})
    row = SavedFilter.objects.get()
    assert ">Mine<" not in admin.get("/admin/customers/customer/").content.decode()
    other = factories.make_staff("Auditor")
    client.force_login(other)

    assert ">Mine<" not in client.get(KEYS).content.decode()
    assert client.post(f"{SAVE}{row.pk}/delete/").status_code == 404
    assert SavedFilter.objects.filter(pk=row.pk).exists()


def test_filters_are_saved_of_lists_that_the_person_may_see(client: Client) -> None:
    client.force_login(factories.make_staff())
    data = {"name": "Any", "query": "status=active"}

    assert client.post(SAVE, data).status_code == 403
    assert client.post("/admin/saved-filters/nowhere_list/", data).status_code == 404
    assert client.post("/admin/saved-filters/sessions_session/", data).status_code == 404
    client.logout()
    assert client.post(SAVE, data)["Location"].startswith("/admin/login/")
    assert not SavedFilter.objects.exists()


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"name": "", "query": "status=active"},
        {"name": "x" * 61, "query": "status=active"},
        {"name": "two\nlines", "query": "status=active"},
        {"name": "Page", "query": "p=2"},
        {"name": "Long", "query": "q=" + "x" * 2000},
    ],
)
def test_what_cannot_be_saved_is_refused_with_a_message(
    admin: Client, data: dict[str, str]
) -> None:
    answer = admin.post(SAVE, data, follow=True)

    assert answer.status_code == 200
    assert answer.context["messages"]
    assert not SavedFilter.objects.exists()


def test_filters_that_hold_a_credential_are_not_saved(admin: Client) -> None:
    credential = factories.issue().credential
    spelled = credential.replace("_", "%5F").replace("l", "%6C", 1)

    for data in (
        {"name": credential, "query": "status=active"},
        {"name": "Whole", "query": f"q={credential}"},
        {"name": "Spelled", "query": f"q={spelled}"},
    ):
        answer = admin.post(SAVE, data)
        assert credential not in f"{answer.headers}{admin.get(KEYS).content.decode()}"

    assert not SavedFilter.objects.exists()


def test_a_list_has_so_many_saved_filters_and_no_more(admin: Client) -> None:
    for number in range(MAX_SAVED + 1):
        admin.post(SAVE, {"name": f"Filters {number}", "query": "status=active"})

    assert SavedFilter.objects.count() == MAX_SAVED


def test_saving_takes_a_post(admin: Client) -> None:
    assert admin.get(SAVE).status_code == 405


def test_columns_that_sort_say_how_they_are_sorted(admin: Client) -> None:
    factories.issue()

    page = admin.get(KEYS, {"o": "1"}).content.decode()

    assert re.search(r'column-named[^>]*aria-sort="ascending"', page)
    assert re.search(r'column-in_environment[^>]*aria-sort="none"', page)
    assert not re.search(r"column-permission_summary[^>]*aria-sort", page)


def test_an_empty_list_says_what_comes_next(admin: Client) -> None:
    nothing = admin.get(KEYS).content.decode()
    filtered = admin.get(KEYS, {"status": "active"}).content.decode()

    assert "Create the first API Key" in nothing
    assert "Nothing fits these filters" in filtered
    assert "Create the first" not in filtered
    assert "Create the first" not in admin.get("/admin/logs/requestlog/").content.decode()


def test_keys_that_stopped_being_used_come_before_those_never_used(admin: Client) -> None:
    now = timezone.now()
    for name, days in (("Never", None), ("Lately", 100), ("Orphan", 133), ("Used", 1)):
        used = None if days is None else now - timedelta(days=days)
        key = factories.issue(name=name).key
        ApiKey.objects.filter(pk=key.pk).update(
            created_at=now - timedelta(days=400), last_used_at=used
        )

    page = admin.get(KEYS, {"use": "idle-90"})

    assert [key.name for key in page.context["cl"].result_list] == ["Orphan", "Lately", "Never"]
    assert ">133 days ago</time>" in page.content.decode()


def test_the_key_list_counts_the_requests_of_a_day_with_one_query(
    admin: Client,
) -> None:
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    keys = [factories.issue().key for _ in range(3)]
    admin.get(KEYS)
    with CaptureQueriesContext(connection) as before:
        admin.get(KEYS)
    for key in keys:
        for ago, requests in ((0, 1500), (23, 500), (24, 70_000)):
            HourlyUsage.objects.create(
                key_id=key.pk,
                hour=hour - timedelta(hours=ago),
                environment=key.environment,
                requests=requests,
                succeeded=requests - 5,
                refused=3,
                limited=1,
                failed=1,
            )

    with CaptureQueriesContext(connection) as after:
        page = admin.get(KEYS).content.decode()

    assert len(after) == len(before)
    assert page.count(">2,000</a>") == 3
    assert page.count(">0.5 %</small>") == 3
    began = hour - timedelta(hours=23)
    since = f"at_from_0={began:%Y-%m-%d}&amp;at_from_1={began:%H}%3A00"
    assert f"?key__id__exact={keys[0].pk}&amp;{since}" in page


def test_numbers_of_requests_are_for_those_who_may_see_the_log(client: Client) -> None:
    person = factories.make_staff()
    person.user_permissions.add(*factories.permissions("view_apikey"))
    client.force_login(person)
    factories.issue()

    assert "column-requests_of_a_day" not in client.get(KEYS).content.decode()


def test_what_a_key_cannot_do_is_a_warning(admin: Client) -> None:
    factories.issue(limit_hour=0, permissions=["jobs:read"])
    factories.issue()

    page = admin.get(KEYS).content.decode()

    assert page.count('<span class="latchkey-warning">Blocked</span> 600 / 0 / 200,000') == 1
    assert page.count('<span class="latchkey-warning">None</span>') == 1


def test_a_key_is_found_in_its_list_by_whatever_names_it(admin: Client) -> None:
    key = factories.issue(name="Wanted").key
    factories.issue(name=f"Not {key.pk}")

    for typed in (key.pk, f"lk_prod_{key.pk}_", f" lk_prod_{key.pk}_*** "):
        found = admin.get(KEYS, {"q": typed}).context["cl"].result_list
        assert [one.name for one in found] == ["Wanted"]
