"""Customers and licenses in the one search; nobody finds a license by a part of its key."""

from collections.abc import Iterator

from apikeys.environments import Environment
from backoffice.finding.registry import MAX_FOUND, Found, by_id, by_name, finder
from backoffice.finding.terms import Term
from customers.models import Customer, License


@finder("Customers", "name, reference or id", permission="customers.view_customer")
def find_customers(term: Term) -> Iterator[Found]:
    rows = by_id(Customer.objects.all(), term)
    if not term.is_whole_id:
        rows += Customer.objects.filter(environment__in=Environment, external_reference=term.text)[
            :MAX_FOUND
        ]
        rows += by_name(Customer.objects.all(), term, order="-id")
    for customer in rows:
        detail = ", ".join(
            filter(None, (customer.get_environment_display(), customer.external_reference))
        )
        yield Found(customer, customer.name, detail, term.is_whole_id)


@finder("Licenses", "id", permission="customers.view_license")
def find_licenses(term: Term) -> Iterator[Found]:
    for one in by_id(License.objects.select_related("customer"), term):
        detail = f"{one.customer.name}, {one.get_environment_display()}"
        yield Found(one, one.product, detail, term.is_whole_id)
