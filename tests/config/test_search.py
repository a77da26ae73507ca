"""The one search of the admin: what it finds, for whom, and what it never takes."""

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apikeys import catalogue, credentials
from backoffice.finding import registry, terms
from database.uuid7 import new_id
from gateway import lifecycle as services
from tests.support import factories

pytestmark = pytest.mark.django_db
PAGE = "/admin/search/"


@pytest.fixture
def admin(client: Client) -> Client:
    client.force_login(factories.make_staff(is_superuser=True))
    return client


@pytest.fixture
def rows() -> dict[str, Any]:
    """A row of everything that has a page."""
    key = factories.issue(name="Billing Sync").key
    license_ = factories.make_license()
    return {
        "apikey": key,
        "customer": license_.customer,
        "license": license_,
        "requestlog": factories.make_request(key=key),
        "job": factories.make_job(key),
        "service": services.create("orders", actor=factories.ACTOR),
    }


def page_of(row: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=(row.pk,))


@pytest.mark.parametrize("kind", ["apikey", "customer", "license", "requestlog", "job", "service"])
def test_a_whole_id_opens_the_page_of_its_row(
    admin: Client, rows: dict[str, Any], kind: str
) -> None:
    row = rows[kind]

    answer = admin.get(PAGE, {"q": f" {row.pk} "})

    assert (answer.status_code, answer["Location"]) == (302, page_of(row))


@pytest.mark.parametrize("kind", ["customer", "license", "requestlog", "job", "service"])
def test_the_first_eight_characters_of_an_id_find_its_row(
    admin: Client, rows: dict[str, Any], kind: str
) -> None:
    row = rows[kind]

    # Of ids made at one time these are alike, so that all of them are found.
    assert page_of(row) in admin.get(PAGE, {"q": str(row.pk)[:8]}).content.decode()
    assert page_of(row) not in admin.get(PAGE, {"q": str(row.pk)[:7]}).content.decode()


def test_a_key_is_found_by_the_beginning_of_its_id_with_its_case(
    admin: Client, rows: dict[str, Any]
) -> None:
    key = rows["apikey"]
    other_case = key.pk[:8].swapcase()

    assert page_of(key) in admin.get(PAGE, {"q": key.pk[:8]}).content.decode()
    assert page_of(key) not in admin.get(PAGE, {"q": other_case}).content.decode()


def test_an_id_is_found_in_whatever_was_pasted_with_it(admin: Client, rows: dict[str, Any]) -> None:
    record = rows["requestlog"]

    for pasted in (f'"request_id": "{record.pk}",', str(record.pk).upper(), record.pk.hex):
        assert admin.get(PAGE, {"q": pasted})["Location"] == page_of(record)


@pytest.mark.parametrize("typed", ["billing s", "BILLING", "sync", "ling"])
def test_a_name_is_found_whatever_its_case(admin: Client, rows: dict[str, Any], typed: str) -> None:
    answer = admin.get(PAGE, {"q": typed})

    assert answer.status_code == 200
    assert page_of(rows["apikey"]) in answer.content.decode()


def test_a_name_is_found_by_its_beginning_however_old(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(registry, "NEWEST", 1)
    old = factories.make_customer(name="Ängström & Söhne")
    for _ in range(3):
        factories.make_customer()

    assert page_of(old) in admin.get(PAGE, {"q": "Ängst"}).content.decode()
    assert page_of(old) not in admin.get(PAGE, {"q": "ngst"}).content.decode()


@pytest.mark.parametrize(("typed", "count"), [("gate", 6), ("way ga", 6), ("gate", 5)])
def test_more_than_are_shown_are_a_link_to_the_list_of_all(
    admin: Client, typed: str, count: int
) -> None:
    keys = [factories.issue(name=f"Gateway Gate {number}").key for number in range(count)]

    page = admin.get(PAGE, {"q": typed}).content.decode()

    shown = [key for key in keys if page_of(key) in page]
    assert len(shown) == 5
    links = re.findall(r'href="([^"]+)" data-all', page)
    assert len(links) == (1 if count > 5 else 0)
    for link in links:
        assert all(page_of(key) in admin.get(link).content.decode() for key in keys)


def test_no_link_leads_to_a_list_that_finds_nothing(admin: Client) -> None:
    key = factories.issue().key
    jobs = [factories.make_job(key) for _ in range(6)]

    page = admin.get(PAGE, {"q": str(jobs[0].pk)[:8]}).content.decode()

    assert "The first 5 of more" in page
    assert "data-all" not in page


def test_signs_of_a_pattern_are_taken_as_they_are(admin: Client) -> None:
    percent = factories.make_customer(name="100% Ltd")
    other = factories.make_customer(name="100 per cent")

    found = admin.get(PAGE, {"q": "100%"}).content.decode()

    assert page_of(percent) in found
    assert page_of(other) not in found


def test_customers_are_found_by_reference_and_permissions_by_code(admin: Client) -> None:
    customer = factories.make_customer(external_reference="crm-4711")
    permission = catalogue.create("orders:read", actor=factories.ACTOR, label="Order Read")

    assert page_of(customer) in admin.get(PAGE, {"q": "crm-4711"}).content.decode()
    assert page_of(permission) in admin.get(PAGE, {"q": "orders:r"}).content.decode()


def test_a_credential_cut_short_finds_its_key(admin: Client, rows: dict[str, Any]) -> None:
    key = rows["apikey"]

    for typed in (f"lk_prod_{key.pk}", f"lk_prod_{key.pk}_", f"Bearer lk_prod_{key.pk}_***"):
        assert admin.get(PAGE, {"q": typed})["Location"] == page_of(key), typed


def test_a_credential_in_another_spelling_is_not_repeated(admin: Client) -> None:
    spelled = factories.issue().credential.replace("_", "%255f")

    answer = admin.get(f"/admin/search/?q={spelled}")

    assert answer.status_code == 400
    assert spelled[-38:] not in answer.content.decode()


def test_a_whole_credential_is_refused_with_a_link_to_its_key(admin: Client) -> None:
    issued = factories.issue()

    answer = admin.get(PAGE, {"q": issued.credential})

    page = answer.content.decode()
    assert answer.status_code == 400
    assert f"{PAGE}?q={issued.key.pk}" in page
    assert issued.credential.rpartition("_")[2] not in page


def test_what_was_not_found_says_where_it_was_looked_for(admin: Client) -> None:
    page = admin.get(PAGE, {"q": "<nowhere>"}).content.decode()

    assert "Nothing found for “&lt;nowhere&gt;”" in page
    assert "API keys by name or key id" in page
    assert "Background jobs by id" in page


def test_people_find_only_what_they_may_see(client: Client, rows: dict[str, Any]) -> None:
    person = factories.make_staff()
    client.force_login(person)
    sees_jobs = factories.make_staff()
    sees_jobs.user_permissions.add(*factories.permissions("view_job"))

    for row in rows.values():
        page = client.get(PAGE, {"q": str(row.pk)})
        assert page.status_code == 200
        assert page_of(row) not in page.content.decode()
    client.force_login(sees_jobs)
    assert client.get(PAGE, {"q": str(rows["job"].pk)})["Location"] == page_of(rows["job"])
    nothing = client.get(PAGE, {"q": str(rows["requestlog"].pk)}).content.decode()
    assert "Background jobs by id" in nothing
    assert "Requests by id" not in nothing


def test_strangers_are_sent_to_log_in(client: Client) -> None:
    assert client.get(PAGE, {"q": "x"})["Location"].startswith("/admin/login/")


def test_the_part_for_the_box_is_no_page_and_opens_none(
    admin: Client, rows: dict[str, Any]
) -> None:
    answer = admin.get(PAGE, {"q": rows["job"].pk, "part": "1"})

    assert answer.status_code == 200
    assert page_of(rows["job"]) in answer.content.decode()
    assert "<html" not in answer.content.decode()


@pytest.mark.parametrize("typed", ["", " ", "\0", "x" * 100_000, "0" * 33, "-" * 40, "%", "'\\"])
def test_any_text_can_be_searched_for(admin: Client, typed: str) -> None:
    answer = admin.get(PAGE, {"q": typed}) if "\0" not in typed else admin.get(PAGE)

    assert answer.status_code == 200


def test_the_browser_and_the_server_read_the_same_form_of_a_credential() -> None:
    issued = "lk_dev_0123456789AB_" + "x" * 38

    assert credentials.cut_to_key_id(f"key={issued}") == "0123456789AB"
    assert credentials.cut_to_key_id("lk_dev_0123456789ABC") == "lk_dev_0123456789ABC"
    # What only one of the two languages reads.
    assert not re.search(r"\(\?P|\(\?i|\\[AZ]", credentials.REFERENCE)


def test_a_term_is_an_id_only_if_it_can_be_one() -> None:
    whole = new_id()

    assert terms.read(str(whole)).is_whole_id
    assert not terms.read(str(whole)[:-1]).is_whole_id
    assert terms.read("deadbeef").ids is not None
    assert terms.read("deadbee").ids is None
    assert terms.read("decade of facades").ids is None
