"""Customers in the admin."""

import json
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse

from customers.models import Customer
from tests.support.factories import (
    issue,
    make_customer,
    make_event,
    make_job,
    make_license,
    make_request,
    make_staff,
)

pytestmark = pytest.mark.django_db


def save(client: Client, address: str, **changes: Any) -> Any:
    fields = {"name": "Acme", "environment": "production", "status": "active", "metadata": "{}"}
    return client.post(address, fields | changes)


def test_a_customer_is_made_and_changed_and_its_metadata_stays_json(staff: Client) -> None:
    save(staff, reverse("admin:customers_customer_add"), metadata='{"plan": "enterprise"}')
    customer = Customer.objects.get()
    address = reverse("admin:customers_customer_change", args=(customer.pk,))
    shown = staff.get(address).context["adminform"].form["metadata"].value()

    save(staff, address, name="Acme Inc", environment="staging", metadata=json.dumps(shown))

    customer.refresh_from_db()
    assert (customer.name, customer.environment) == ("Acme Inc", "production")
    assert customer.external_reference is None


@pytest.mark.parametrize("metadata", ["[]", "3", "{", '"x"'])
def test_metadata_that_is_no_object_is_refused(staff: Client, metadata: str) -> None:
    response = save(staff, reverse("admin:customers_customer_add"), metadata=metadata)

    assert response.status_code == 200
    assert not Customer.objects.exists()


def test_two_customers_without_a_reference_do_not_collide(staff: Client) -> None:
    for _ in range(2):
        save(staff, reverse("admin:customers_customer_add"), external_reference="")

    assert Customer.objects.count() == 2


def test_a_customer_that_changed_after_the_page_was_opened_is_not_written_over(
    staff: Client,
) -> None:
    customer = make_customer()
    address = reverse("admin:customers_customer_change", args=(customer.pk,))
    seen = staff.get(address).context["adminform"].form["seen"].value()
    customer.name = "Changed meanwhile"
    customer.save()

    refused = save(staff, address, name="Mine", seen=seen)

    customer.refresh_from_db()
    assert customer.name == "Changed meanwhile"
    assert "changed after this page was opened" in refused.content.decode()


def test_the_page_shows_what_belongs_to_the_customer(staff: Client) -> None:
    customer = make_customer()
    key = issue(customers=[customer.pk], name="Partner Portal").key
    license_ = make_license(customer, product="Pro")
    event, seen = make_event(customer, type="app.started"), make_request(customer=customer)
    job = make_job(key, type="telemetry.purge")
    make_job(issue().key, type="customers.import")

    page = staff.get(reverse("admin:customers_customer_change", args=(customer.pk,)))

    shown = page.content.decode()
    for thing, name in (
        (license_, "Pro"),
        (key, "Partner Portal"),
        (event, "app.started"),
        (seen, seen.path),
        (job, "telemetry.purge"),
    ):
        opts = thing._meta
        link = reverse(f"admin:{opts.app_label}_{opts.model_name}_change", args=(thing.pk,))
        assert link in shown
        assert name in shown
    assert "customers.import" not in shown


def test_customers_are_found_by_name_reference_and_mail(staff: Client) -> None:
    make_customer(name="Ada", external_reference="R-77", email="ada@x.example")
    make_customer(name="Bob")

    for text in ("ada", "R-77", "ada@x"):
        page = staff.get(reverse("admin:customers_customer_changelist"), {"q": text})
        assert [row.name for row in page.context["cl"].result_list] == ["Ada"]


def test_a_customer_that_still_has_something_is_not_deleted_and_the_page_says_why(
    staff: Client,
) -> None:
    held, free = make_customer(), make_customer()
    make_license(held)

    def delete(customer: Customer) -> Any:
        address = reverse("admin:customers_customer_delete", args=(customer.pk,))
        return staff.post(address, {"post": "yes"}, follow=True)

    refused = delete(held)
    delete(free)

    assert "still has licenses or telemetry" in refused.text
    assert set(Customer.objects.all()) == {held}


def test_a_person_sees_the_tabs_of_what_he_may_see() -> None:
    client, person, customer = Client(), make_staff(), make_customer()
    make_license(customer, product="Hidden")
    person.user_permissions.add(Permission.objects.get(codename="view_customer"))
    client.force_login(person)

    page = client.get(reverse("admin:customers_customer_change", args=(customer.pk,))).text
    front = client.get(reverse("admin:index")).text

    assert "Hidden" not in page
    assert "All licenses" not in page
    assert "no rights here yet" not in front
