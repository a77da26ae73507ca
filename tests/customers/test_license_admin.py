"""Licenses and telemetry in the admin."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from customers.models import License
from tests.factories import make_activation, make_customer, make_event, make_license, make_staff

pytestmark = pytest.mark.django_db


@pytest.fixture
def staff() -> Client:
    """An administrator of keys and licenses."""
    client = Client()
    client.force_login(make_staff("Key administrator"))
    return client


def page_of(license_: License) -> str:
    return reverse("admin:customers_license_change", args=(license_.pk,))


def dialog(client: Client, act: str, license_: License, **fields: Any) -> Any:
    address = reverse(f"admin:customers_license_{act}", args=(license_.pk,))
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
    assert [event.act for event in made.events.all()] == ["issued"]
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

    for act in moves:
        assert dialog(staff, act, license_).headers["HX-Redirect"], act

    license_.refresh_from_db()
    assert (license_.status, license_.expires_at) == ("revoked", None)
    acts = [event.act for event in license_.events.order_by("id")]
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
