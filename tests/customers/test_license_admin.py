"""Licenses and telemetry in the admin."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.models import Event
from customers.licenses import lifecycle
from customers.models import License
from tests.support.factories import (
    ACTOR,
    make_activation,
    make_customer,
    make_event,
    make_license,
    make_staff,
)

pytestmark = pytest.mark.django_db


def page_of(license_: License) -> str:
    return reverse("admin:customers_license_change", args=(license_.pk,))


def dialog(client: Client, action: str, license_: License, **fields: Any) -> Any:
    address = reverse(f"admin:customers_license_{action}", args=(license_.pk,))
    return client.post(address, {"_form_submitted": "1", **fields})


def test_a_license_is_issued_by_the_form_and_recorded(staff: Client) -> None:
    customer = make_customer()

    staff.post(
        reverse("admin:customers_license_add"),
        {"customer": customer.pk, "product": "Pro", "seats": 2, "metadata": "{}",
         "expires_at_0": "", "expires_at_1": ""},
    )  # fmt: skip

    made = License.objects.get()
    assert (made.customer, made.environment, made.seats) == (customer, customer.environment, 2)
    assert [event.action for event in Event.objects.about(made)] == ["issued"]
    page = staff.get(page_of(made)).content.decode()
    assert made.license_key in page
    listed = staff.get(reverse("admin:customers_license_changelist")).content.decode()
    assert made.license_key not in listed


def test_a_change_the_rules_refuse_is_told_beside_the_form(staff: Client) -> None:
    license_ = make_activation(seats=3).license
    form = {"product": "Pro", "seats": 3, "metadata": "{}", "expires_at_0": "", "expires_at_1": ""}
    for number in range(2):
        license_.activations.create(fingerprint=str(number), environment=license_.environment)

    refused = staff.post(page_of(license_), form | {"seats": 1})
    accepted = staff.post(page_of(license_), form | {"seats": 4})

    assert "3 machines are activated" in refused.content.decode()
    assert accepted.status_code == 302
    license_.refresh_from_db()
    assert license_.seats == 4


def test_every_move_is_a_dialog_and_is_recorded(staff: Client) -> None:
    license_ = make_license(expires_at=timezone.now() + timedelta(days=1))
    moves = ["suspend", "reinstate", "renew", "revoke"]

    for action in moves:
        assert dialog(staff, action, license_).headers["HX-Redirect"], action

    license_.refresh_from_db()
    assert (license_.status, license_.expires_at) == ("revoked", None)
    acts = [event.action for event in Event.objects.about(license_).order_by("id")]
    assert acts == ["suspended", "reinstated", "renewed", "revoked"]
    assert dialog(staff, "suspend", license_).status_code == 403


def test_nothing_is_moved_by_a_get_or_by_an_auditor(staff: Client) -> None:
    license_ = make_license()
    auditor = Client()
    auditor.force_login(make_staff("Auditor"))

    staff.get(reverse("admin:customers_license_revoke", args=(license_.pk,)))
    assert dialog(auditor, "revoke", license_).status_code == 403

    license_.refresh_from_db()
    assert license_.status == "active"
    assert auditor.get(page_of(license_)).status_code == 200


def test_telemetry_and_a_customers_page_are_shown(staff: Client) -> None:
    license_ = make_license()
    event = make_event(license_.customer, type="odd<b>", properties={"x": "<script>"})

    listed = staff.get(reverse("admin:customers_telemetryevent_changelist")).content.decode()
    one = staff.get(reverse("admin:customers_telemetryevent_change", args=(event.pk,)))
    customer = staff.get(reverse("admin:customers_customer_change", args=(license_.customer_id,)))

    assert "odd&lt;b&gt;" in listed
    assert "<script>" not in one.content.decode().partition("latchkey-pre")[2][:200]
    assert license_.product in customer.content.decode()
    assert "odd&lt;b&gt;" in customer.content.decode()


FORM = {"product": "Pro", "seats": 3, "metadata": "{}", "expires_at_0": "", "expires_at_1": ""}
HOSTILE = [
    '{"a": NaN}', '{"a": 1e999}', '{"a": "\\ud800"}', '{"a": "\\u0000"}', '{"a": 1, "a": 2}',
    '{"a": ' + "[" * 3000 + "]" * 3000 + "}", '{"a": ' + "9" * 5000 + "}",
    '{"a": "' + "x" * 20_000 + '"}', "[1]", "{",
]  # fmt: skip


def shown_field(client: Client, address: str, name: str) -> Any:
    return client.get(address).context["adminform"].form[name].value()


def test_a_license_that_changed_after_the_page_was_opened_is_not_written_over(
    staff: Client,
) -> None:
    license_ = make_license(seats=1)
    seen = shown_field(staff, page_of(license_), "seen")
    lifecycle.update(license_, actor=ACTOR, settings={"seats": 50})

    refused = staff.post(page_of(license_), FORM | {"seen": seen})

    license_.refresh_from_db()
    assert license_.seats == 50
    assert "changed after this page was opened" in refused.content.decode()


def test_a_form_that_is_sent_twice_issues_one_license(staff: Client) -> None:
    add = reverse("admin:customers_license_add")
    form = FORM | {"customer": make_customer().pk, "ticket": shown_field(staff, add, "ticket")}

    first, second = staff.post(add, form), staff.post(add, form)

    assert License.objects.count() == 1
    assert first.status_code == 302
    assert "issued already" in second.content.decode()


@pytest.mark.parametrize("metadata", HOSTILE)
def test_metadata_in_the_admin_is_held_to_the_apis_rules(staff: Client, metadata: str) -> None:
    customer = make_customer()
    add = reverse("admin:customers_license_add")
    page = reverse("admin:customers_customer_change", args=(customer.pk,))
    person = {"name": "A", "status": "active", "metadata": metadata}

    license_refused = staff.post(add, FORM | {"customer": customer.pk, "metadata": metadata})
    customer_refused = staff.post(page, person)

    assert (license_refused.status_code, customer_refused.status_code) == (200, 200)
    assert not License.objects.exists()
    customer.refresh_from_db()
    assert customer.metadata == {}


def test_a_dialog_of_a_license_that_is_not_there_is_404(staff: Client) -> None:
    license_ = make_license()
    license_.delete()

    assert dialog(staff, "suspend", license_).status_code in {403, 404}


def test_a_page_with_more_machines_than_it_shows_tells_how_many(staff: Client) -> None:
    license_ = make_activation(seats=100).license
    for number in range(52):
        lifecycle.activate(license_, actor=ACTOR, fingerprint=f"another {number}")

    page = staff.get(page_of(license_)).text
    listed = staff.get(reverse("admin:customers_license_changelist")).text

    assert "53 of 100 taken" in page
    assert "and 3 more" in page
    assert "and 2 earlier" in page
    assert "53 of 100" in listed


def test_saving_a_page_as_it_stands_changes_nothing(staff: Client) -> None:
    license_ = make_license(expires_at=timezone.now() + timedelta(days=9, microseconds=7))
    page = staff.get(page_of(license_))
    form = page.context["adminform"].form
    expiry = form["expires_at"].value()

    staff.post(
        page_of(license_),
        {"product": license_.product, "seats": license_.seats, "metadata": "{}",
         "seen": form["seen"].value(), "expires_at_0": f"{expiry:%Y-%m-%d}",
         "expires_at_1": f"{expiry:%H:%M:%S}"},
    )  # fmt: skip

    assert License.objects.get().expires_at == license_.expires_at
    assert not Event.objects.about(license_).exists()


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"seats": 99_999_999_999_999}, "Use 1 to 1,000,000."),
        ({"seats": 0}, "Use 1 to 1,000,000."),
        ({"expires_at_0": "2020-01-01", "expires_at_1": "00:00:00"}, "Choose a time to come."),
        ({"customer": "abc"}, "required"),
    ],
)
def test_what_no_license_may_be_is_refused_beside_the_field(
    staff: Client, settings: dict[str, Any], told: str
) -> None:
    fields = {"customer": make_customer().pk, "product": "Pro", "seats": 2, "metadata": "{}"}

    response = staff.post(reverse("admin:customers_license_add"), fields | settings)

    assert response.status_code == 200
    assert told in response.text
    assert not License.objects.exists()


def test_an_auditor_sees_the_license_key_masked() -> None:
    license_ = make_license()
    auditor = Client()
    auditor.force_login(make_staff("Auditor"))

    page = auditor.get(page_of(license_)).text

    assert license_.license_key not in page
    assert license_.license_key[:5] in page


def names_of(page: Any) -> list[str]:
    return [license_.product for license_ in page.context["cl"].result_list]


@pytest.mark.parametrize("role", ["Auditor", "Key administrator"])
def test_a_license_key_is_found_whole_and_not_by_a_part_of_it(role: str) -> None:
    license_ = make_license(product="Wanted")
    make_license(product="Other")
    client = Client()
    client.force_login(make_staff(role))
    listed, whole = reverse("admin:customers_license_changelist"), license_.license_key
    plain = whole.replace("-", "")
    parts = [whole[:5], whole[:7], whole[:-1], whole[1:], whole[12:17], f"{whole[:-1]}%",
             plain[:-1], whole[:-1].lower(), whole.replace("-", " ")[:-1]]  # fmt: skip

    for part in parts:
        assert names_of(client.get(listed, {"q": part})) == [], part
    for text in (whole, whole.lower(), plain, f"  {whole} "):
        assert names_of(client.get(listed, {"q": text})) == ["Wanted"], text


def test_the_autocomplete_finds_no_license_by_a_part_of_its_key() -> None:
    license_ = make_license(product="Wanted")
    client = Client()
    client.force_login(make_staff("Auditor"))
    field = {
        "app_label": "customers", "model_name": "telemetryevent", "field_name": "license"
    }  # fmt: skip

    def found(term: str) -> int:
        answer = client.get(reverse("admin:autocomplete"), {"term": term, **field})
        return len(answer.json()["results"])

    assert found(license_.license_key[:7]) == 0
    assert found("Wanted") == 1


def test_the_order_of_licenses_says_nothing_of_their_keys() -> None:
    made = [make_license() for _ in range(4)]
    # An order that no other column has: neither that of issue nor its reverse.
    keys = sorted(license_.license_key for license_ in made)
    for license_, place in zip(made, (1, 3, 0, 2), strict=True):
        License.objects.filter(pk=license_.pk).update(license_key=f"swap {place}")
        license_.license_key = keys[place]
    License.objects.bulk_update(made, ["license_key"])
    client = Client()
    client.force_login(make_staff("Auditor"))
    listed = reverse("admin:customers_license_changelist")
    by_key = [row.pk for row in sorted(made, key=lambda row: row.license_key)]

    for column in range(9):
        for order in (str(column), f"-{column}"):
            shown = [row.pk for row in client.get(listed, {"o": order}).context["cl"].result_list]
            assert shown not in (by_key, by_key[::-1]), order


@pytest.mark.parametrize(
    ("name", "lookup"),
    [
        ("license", "license_key"),
        ("license", "license_key__startswith"),
        ("license", "license_key__gt"),
        ("license", "activations__license__license_key__lt"),
        ("telemetryevent", "license__license_key__startswith"),
        ("customer", "licenses__license_key__startswith"),
    ],
)
def test_a_license_key_cannot_be_guessed_through_a_filter(name: str, lookup: str) -> None:
    license_ = make_license()
    client = Client()
    client.force_login(make_staff("Auditor"))
    listed = reverse(f"admin:customers_{name}_changelist")

    statuses = [
        client.get(listed, {lookup: value}).status_code
        for value in (license_.license_key[:1], license_.license_key)
    ]

    assert statuses in ([302, 302], [400, 400])


def test_a_pop_up_does_not_name_licenses_by_their_keys() -> None:
    make_license()
    client = Client()
    client.force_login(make_staff("Auditor"))
    listed = reverse("admin:customers_license_changelist")

    page = client.get(listed, {"_popup": "1", "_to_field": "license_key"})

    assert page.status_code == 400


@pytest.mark.parametrize(
    ("field", "value"),
    [("seats", "1_0"), ("seats", "\u0663"), ("product", "Pro\u202e"), ("product", "\u200b")],
)
def test_only_ascii_digits_are_numbers_and_only_what_is_seen_a_product(
    staff: Client, field: str, value: str
) -> None:
    response = staff.post(
        reverse("admin:customers_license_add"),
        {"customer": make_customer().pk, "product": "Pro", "seats": 2, "metadata": "{}",
         "expires_at_0": "", "expires_at_1": "", field: value},
    )  # fmt: skip

    assert list(response.context["adminform"].form.errors) == [field]
    assert not License.objects.exists()
