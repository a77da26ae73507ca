"""The life of a customer: what is recorded of a change, whichever way it came in."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apikeys.permissions import Permission
from audit.models import Event
from customers.customers import lifecycle
from customers.models import Customer
from database.refusals import Conflict
from tests.support.api_client import Caller
from tests.support.factories import ACTOR, issue, make_customer, make_license, make_staff

pytestmark = pytest.mark.django_db

PERMISSIONS = [Permission.CUSTOMERS_READ, Permission.CUSTOMERS_WRITE]


def history(customer: Customer) -> list[tuple[str, dict[str, Any]]]:
    return list(Event.objects.about(customer).order_by("id").values_list("action", "changes"))


def test_each_change_is_recorded_with_what_changed() -> None:
    customer = lifecycle.create(environment="staging", actor=ACTOR, name="Acme")

    for fields in ({"name": "Acme Inc"}, {"status": "suspended", "email": "a@b.example"},
                   {"status": "active"}, {"status": "active"}):  # fmt: skip
        lifecycle.update(customer, actor=ACTOR, fields=fields)

    assert history(customer) == [
        ("created", {}),
        ("updated", {"name": ["Acme", "Acme Inc"]}),
        ("suspended", {"status": ["active", "suspended"], "email": ["", "a@b.example"]}),
        ("resumed", {"status": ["suspended", "active"]}),
    ]


def test_the_history_of_a_deleted_customer_keeps_its_name_and_no_contact() -> None:
    customer = lifecycle.create(environment="staging", actor=ACTOR, name="Acme")
    lifecycle.update(customer, actor=ACTOR, fields={"email": "a@b.example"})

    deleted_id = str(customer.pk)
    lifecycle.delete(customer, actor=ACTOR)

    events = Event.objects.filter(object_id=deleted_id).order_by("id")
    assert [(event.action, event.object_label, event.changes) for event in events] == [
        ("created", "", {}),
        ("updated", "", {}),
        ("deleted", "Acme", {"name": ["Acme", None]}),
    ]


def test_a_customer_that_may_not_be_deleted_keeps_its_history() -> None:
    customer = make_customer()
    lifecycle.update(customer, actor=ACTOR, fields={"name": "Other"})
    make_license(customer)

    with pytest.raises(Conflict):
        lifecycle.delete(customer, actor=ACTOR)

    assert history(customer) == [("updated", {"name": [customer.name, "Other"]})]


def test_a_reference_is_one_customers_and_a_refused_change_is_not_recorded() -> None:
    make_customer(external_reference="A1")
    other = make_customer(external_reference="A2")

    with pytest.raises(Conflict, match="external_reference"):
        lifecycle.update(other, actor=ACTOR, fields={"external_reference": "A1"})
    with pytest.raises(Conflict, match="external_reference"):
        lifecycle.create(
            environment="production", actor=ACTOR, name="Third", external_reference="A2"
        )

    assert not Event.objects.filter(object_type="customers.customer").exists()
    assert Customer.objects.count() == 2


def test_the_api_and_the_admin_are_recorded_and_shown_on_the_customers_page() -> None:
    issued, staff = issue(permissions=PERMISSIONS), Client()
    api, user = Caller(issued), make_staff("Key administrator")
    staff.force_login(user)
    customer = Customer.objects.get(pk=api.post("customers", {"name": "Acme"}).json()["id"])
    page = reverse("admin:customers_customer_change", args=(customer.pk,))

    api.patch(f"customers/{customer.pk}", {"status": "suspended"})
    fields = {"name": "Acme", "email": "ops@acme.example", "status": "active", "metadata": "{}"}
    staff.post(page, fields)

    events = (
        Event.objects.about(customer).order_by("id").values_list("action", "source", "actor_name")
    )
    key = f"key {issued.key.pk}"
    assert list(events) == [
        ("created", "api", key),
        ("suspended", "api", key),
        ("resumed", "admin", user.username),
    ]
    shown = staff.get(page).content.decode()
    assert f"<strong>Resumed</strong> by {user.username}, admin" in shown
    assert "ops@acme.example</ins>" in shown
