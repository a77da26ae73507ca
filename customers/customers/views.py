"""The customers endpoints."""

from uuid import UUID

from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.guard.permissions import scope_denial
from apikeys.guard.problems import not_found
from apikeys.guard.views import GuardedView, endpoint
from apikeys.permissions import Permission
from customers.customers import lifecycle
from customers.customers.serializers import CustomerInput, CustomerQuery, CustomerSerializer
from customers.models import Customer


class CustomersView(GuardedView):
    """The customers a key may see."""

    @endpoint(
        Permission.CUSTOMERS_READ,
        "List customers",
        query=CustomerQuery,
        response=CustomerSerializer,
        is_list=True,
    )
    def get(self, request: Request, environment: str) -> Response:
        return self.page(Customer.objects.visible_to(self.key))

    @endpoint(
        Permission.CUSTOMERS_WRITE,
        "Create a customer",
        body=CustomerInput,
        response=CustomerSerializer,
        status=201,
        problems=("conflict",),
        needs_all_customers=True,
        idempotent=True,
    )
    def post(self, request: Request, environment: str) -> Response:
        customer = lifecycle.create(environment=environment, actor=self.actor, **self.body)
        self.set_log_customer(customer.pk)
        return self.show_new(customer)


class CustomerView(GuardedView):
    """One customer."""

    @endpoint(
        Permission.CUSTOMERS_READ, "Show a customer", response=CustomerSerializer, has_etag=True
    )
    def get(self, request: Request, environment: str, customer_id: UUID) -> Response:
        return self.show_visible(Customer, customer_id)

    @endpoint(
        Permission.CUSTOMERS_WRITE,
        "Change a customer",
        body=CustomerInput,
        response=CustomerSerializer,
        has_etag=True,
        problems=("conflict",),
    )
    def patch(self, request: Request, environment: str, customer_id: UUID) -> Response:
        """Change what the body names and keep the rest.

        `external_reference` takes a key for all customers, as creating a customer does.
        """

        def check(row: Customer) -> None:
            if self.key.is_scoped:
                # It may have been suspended since: a scoped key must not resume it.
                self._customer(row.pk)
            self.require_match(row)
            self._refuse_renumbering(row)

        customer = self._customer(customer_id)
        try:
            changed = lifecycle.update(
                customer, actor=self.actor, fields=self.body, precondition=check
            )
        except Customer.DoesNotExist:
            raise not_found() from None
        return self.show(changed)

    @endpoint(
        Permission.CUSTOMERS_WRITE,
        "Delete a customer",
        status=204,
        has_etag=True,
        problems=("conflict",),
    )
    def delete(self, request: Request, environment: str, customer_id: UUID) -> Response:
        """Delete the customer, unless something still belongs to it."""
        was_there = lifecycle.delete(
            self._customer(customer_id),
            actor=self.actor,
            precondition=self.require_match,
        )
        if not was_there:
            raise not_found()
        return Response(status=204)

    def _refuse_renumbering(self, customer: Customer) -> None:
        """Refuse a new reference from a scoped key: a conflict would reveal a hidden customer."""
        reference = self.body.get("external_reference", customer.external_reference)
        if self.key.is_scoped and reference != customer.external_reference:
            raise scope_denial(self.key.environment, Permission.CUSTOMERS_WRITE)

    def _customer(self, customer_id: UUID) -> Customer:
        return get_object_or_404(Customer.objects.visible_to(self.key), pk=customer_id)
