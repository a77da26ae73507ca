"""The licenses endpoints."""

from functools import partial
from typing import Any
from uuid import UUID

from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.guard.answers import represent
from apikeys.guard.problems import FieldErrors
from apikeys.guard.serializers import PageQuery
from apikeys.guard.views import GuardedView, endpoint
from apikeys.permissions import Permission
from customers.licenses import license_keys, lifecycle
from customers.licenses.serializers import (
    ActivationInput,
    ActivationSerializer,
    LicenseChanges,
    LicenseInput,
    LicenseQuery,
    LicenseSerializer,
    RenewInput,
    ValidatedSerializer,
    ValidateInput,
    WholeLicenseSerializer,
)
from customers.models import Activation, Customer, License


class _LicenseView(GuardedView):
    """Finds the license that the path names, and answers licenses."""

    def get_license(self, license_id: UUID) -> License:
        license_ = get_object_or_404(License.objects.visible_to(self.key), pk=license_id)
        self.set_log_customer(license_.customer_id)
        return license_

    def answer(self, license_: License, status: int = 200, **headers: str) -> Response:
        """Answer a license, its key whole to whoever may manage it."""
        is_whole = self.key.may(Permission.LICENSES_MANAGE)
        form = WholeLicenseSerializer if is_whole else LicenseSerializer
        return self.tagged(represent(form, license_), status, **headers)


class LicensesView(_LicenseView):
    """The licenses a key may see."""

    customer: Customer

    def resolve_target(self) -> bool:
        customers = Customer.objects.visible_to(self.key)
        customer = customers.filter(pk=self.body["customer"]).first()
        if customer is None:
            raise FieldErrors([("customer", "There is no such customer. Check its id.")])
        self.customer = customer
        self.set_log_customer(customer.pk)
        return True

    @endpoint(
        Permission.LICENSES_READ,
        "List licenses",
        query=LicenseQuery,
        response=LicenseSerializer,
        is_list=True,
    )
    def get(self, request: Request, environment: str) -> Response:
        """Answer a page of licenses, newest first, their keys masked."""
        return self.page(License.objects.visible_to(self.key))

    @endpoint(
        Permission.LICENSES_MANAGE,
        "Issue a license",
        body=LicenseInput,
        response=LicenseSerializer,
        status=201,
        idempotent=True,
        problems=("conflict",),
    )
    def post(self, request: Request, environment: str) -> Response:
        """Issue a license to a customer, with a new license key."""
        settings = {name: value for name, value in self.body.items() if name != "customer"}
        issued = lifecycle.issue(self.customer, actor=self.actor, **settings)
        return self.answer(issued, 201, Location=f"{request.path}/{issued.pk}")


class LicenseView(_LicenseView):
    """One license."""

    @endpoint(Permission.LICENSES_READ, "Show a license", response=LicenseSerializer, has_etag=True)
    def get(self, request: Request, environment: str, license_id: UUID) -> Response:
        return self.answer(self.get_license(license_id))

    @endpoint(
        Permission.LICENSES_MANAGE,
        "Change a license",
        body=LicenseChanges,
        response=LicenseSerializer,
        has_etag=True,
        problems=("conflict",),
    )
    def patch(self, request: Request, environment: str, license_id: UUID) -> Response:
        """Change what the body names and keep the rest."""
        license_ = lifecycle.update(
            self.get_license(license_id),
            actor=self.actor,
            settings=self.body,
            precondition=self.require_match,
        )
        return self.answer(license_)


class _MoveView(_LicenseView):
    """One of the moves a license can make."""

    move: str
    license: License

    def resolve_target(self) -> bool:
        self.license = self.get_license(self.kwargs["license_id"])
        return True

    def make(self, request: Request, **arguments: Any) -> Response:
        license_ = lifecycle.move(
            self.license,
            self.move,
            actor=self.actor,
            precondition=self.require_match,
            **arguments,
        )
        return self.answer(license_)


_move = partial(
    endpoint,
    Permission.LICENSES_MANAGE,
    response=LicenseSerializer,
    has_etag=True,
    idempotent=True,
    problems=("conflict",),
)


class SuspendView(_MoveView):
    """Suspends a license."""

    move = "suspend"

    @_move("Suspend a license")
    def post(self, request: Request, environment: str, license_id: UUID) -> Response:
        """Have the license refused until it is reinstated."""
        return self.make(request)


class ReinstateView(_MoveView):
    """Reinstates a license."""

    move = "reinstate"

    @_move("Reinstate a license")
    def post(self, request: Request, environment: str, license_id: UUID) -> Response:
        """Undo a suspension."""
        return self.make(request)


class RevokeView(_MoveView):
    """Revokes a license."""

    move = "revoke"

    @_move("Revoke a license")
    def post(self, request: Request, environment: str, license_id: UUID) -> Response:
        """Have the license refused for good."""
        return self.make(request)


class RenewView(_MoveView):
    """Renews a license."""

    move = "renew"

    @_move("Renew a license", body=RenewInput)
    def post(self, request: Request, environment: str, license_id: UUID) -> Response:
        """Let the license last longer; an expired one is good again."""
        return self.make(request, expires_at=self.body["expires_at"])


class ValidateView(GuardedView):
    """Judges license keys."""

    def resolve_target(self) -> bool:
        """Replay no stored response to a scoped key whose scope lacks the license now."""
        text = license_keys.parse(self.body["license_key"]) or ""
        rows = License.objects.in_scope_of(self.key).filter(license_key=text)
        return not self.key.is_scoped or rows.exists()

    @endpoint(
        Permission.LICENSES_READ,
        "Validate a license key",
        body=ValidateInput,
        response=ValidatedSerializer,
        idempotent=True,
    )
    def post(self, request: Request, environment: str) -> Response:
        """Say whether a license key is good now, for a machine if one is named, and why not."""
        licenses = License.objects.in_scope_of(self.key)
        code, license_ = lifecycle.validate(
            licenses, self.body["license_key"], self.body.get("fingerprint")
        )
        if license_ is not None:
            self.set_log_customer(license_.customer_id)
        verdict = {"valid": code == "VALID", "code": code, "license": license_}
        return self.show(verdict)


class ActivationsView(_LicenseView):
    """The machines of a license."""

    license: License

    def resolve_target(self) -> bool:
        self.license = self.get_license(self.kwargs["license_id"])
        return True

    @endpoint(
        Permission.LICENSES_READ,
        "List the activations of a license",
        query=PageQuery,
        response=ActivationSerializer,
        is_list=True,
    )
    def get(self, request: Request, environment: str, license_id: UUID) -> Response:
        rows = Activation.objects.visible_to(self.key).filter(license=self.get_license(license_id))
        return self.page(rows)

    @endpoint(
        Permission.LICENSES_MANAGE,
        "Activate a machine",
        body=ActivationInput,
        response=ActivationSerializer,
        status=201,
        extra_statuses=(200,),
        idempotent=True,
        problems=("conflict",),
    )
    def post(self, request: Request, environment: str, license_id: UUID) -> Response:
        """Take a seat for a machine; one that has a seat keeps it (200)."""
        activation, is_new = lifecycle.activate(
            self.license, actor=self.actor, fingerprint=self.body["fingerprint"]
        )
        return self.show_new(activation, 201 if is_new else 200)


class ActivationView(_LicenseView):
    """One machine of a license."""

    @endpoint(Permission.LICENSES_MANAGE, "Deactivate a machine", status=204)
    def delete(
        self, request: Request, environment: str, license_id: UUID, activation_id: UUID
    ) -> Response:
        rows = Activation.objects.visible_to(self.key).filter(license=self.get_license(license_id))
        activation = get_object_or_404(rows.select_related("license"), pk=activation_id)
        lifecycle.deactivate(activation, actor=self.actor)
        return Response(status=204)
