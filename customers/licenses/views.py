"""The licenses endpoints."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.guard.etags import etag, require_match
from apikeys.guard.problems import FieldErrors, Problem, not_found
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
)
from customers.models import Activation, Customer, License
from database.refusals import Conflict


@contextmanager
def conflicts() -> Iterator[None]:
    """Answer what the life of a license refuses as a 409."""
    try:
        yield
    except Conflict as conflict:
        raise Problem("conflict", str(conflict)) from None


class _LicenseView(GuardedView):
    """Finds the license that the path names, and answers licenses."""

    def get_license(self, license_id: UUID) -> License:
        """Return the license, or raise the 404."""
        found = License.objects.visible_to(self.key).filter(pk=license_id).first()
        if found is None:
            raise not_found()
        self.set_log_customer(found.customer_id)
        return found

    def answer(self, license_: License, status: int = 200, **headers: str) -> Response:
        """Answer a license, its key whole to whoever may manage it."""
        is_whole = self.key.may(Permission.LICENSES_MANAGE)
        data = LicenseSerializer(license_, context={"is_whole": is_whole}).data
        return Response(data, status=status, headers={"ETag": etag(license_), **headers})


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
        answer=LicenseSerializer,
        is_list=True,
    )
    def get(self, request: Request, environment: str) -> Response:
        """Answer a page of licenses, newest first, their keys masked."""
        rows = LicenseQuery.narrow(License.objects.visible_to(self.key), self.query)
        return self.page(rows, LicenseSerializer)

    @endpoint(
        Permission.LICENSES_MANAGE,
        "Issue a license",
        body=LicenseInput,
        answer=LicenseSerializer,
        status=201,
        problems=("conflict",),
    )
    def post(self, request: Request, environment: str) -> Response:
        """Issue a license to a customer, with a new license key."""
        settings = {name: value for name, value in self.body.items() if name != "customer"}
        with conflicts():
            made = lifecycle.issue(self.customer, actor=self.actor, **settings)
        return self.answer(made, 201, Location=f"{request.path}/{made.pk}")


class LicenseView(_LicenseView):
    """One license."""

    @endpoint(Permission.LICENSES_READ, "Show a license", answer=LicenseSerializer, has_etag=True)
    def get(self, request: Request, environment: str, license_id: UUID) -> Response:
        return self.answer(self.get_license(license_id))

    @endpoint(
        Permission.LICENSES_MANAGE,
        "Change a license",
        body=LicenseChanges,
        answer=LicenseSerializer,
        has_etag=True,
        problems=("conflict",),
    )
    def patch(self, request: Request, environment: str, license_id: UUID) -> Response:
        """Change what the body names and keep the rest."""
        with conflicts():
            found = lifecycle.update(
                self.get_license(license_id),
                actor=self.actor,
                settings=self.body,
                precondition=lambda row: require_match(request, row),
            )
        return self.answer(found)


class _MoveView(_LicenseView):
    """One of the moves a license can make."""

    move: str
    license: License

    def resolve_target(self) -> bool:
        self.license = self.get_license(self.kwargs["license_id"])
        return True

    def make(self, request: Request, **arguments: Any) -> Response:
        """Make the move, or answer that the license cannot."""
        with conflicts():
            found = lifecycle.move(
                self.license,
                self.move,
                actor=self.actor,
                precondition=lambda row: require_match(request, row),
                **arguments,
            )
        return self.answer(found)


def _moving(name: str, summary: str, described: str) -> type[_MoveView]:
    """Return the view of a move that takes nothing but the license."""

    class View(_MoveView):
        move = name

        @endpoint(
            Permission.LICENSES_MANAGE,
            summary,
            answer=LicenseSerializer,
            has_etag=True,
            problems=("conflict",),
        )
        def post(self, request: Request, environment: str, license_id: UUID) -> Response:
            return self.make(request)

        post.__doc__ = described

    View.__name__ = View.__qualname__ = f"{name.title()}View"
    View.__doc__ = described
    return View


SuspendView = _moving(
    "suspend", "Suspend a license", "Have the license refused until it is reinstated."
)
ReinstateView = _moving("reinstate", "Reinstate a license", "Undo a suspension.")
RevokeView = _moving("revoke", "Revoke a license", "Have the license refused for good.")


class RenewView(_MoveView):
    """Renews a license."""

    move = "renew"

    @endpoint(
        Permission.LICENSES_MANAGE,
        "Renew a license",
        body=RenewInput,
        answer=LicenseSerializer,
        has_etag=True,
        problems=("conflict",),
    )
    def post(self, request: Request, environment: str, license_id: UUID) -> Response:
        """Let the license last longer; an expired one is good again."""
        return self.make(request, expires_at=self.body["expires_at"])


class ValidateView(GuardedView):
    """Judges license keys."""

    def resolve_target(self) -> bool:
        """Judge anew, for a scoped key, a license that is not in its scope now."""
        text = license_keys.parse(self.body["license_key"]) or ""
        rows = License.objects.in_scope_of(self.key).filter(license_key=text)
        return not self.key.is_scoped or rows.exists()

    @endpoint(
        Permission.LICENSES_READ,
        "Validate a license key",
        body=ValidateInput,
        answer=ValidatedSerializer,
    )
    def post(self, request: Request, environment: str) -> Response:
        """Say whether a license key is good now, for a machine if one is named, and why not."""
        licenses = License.objects.in_scope_of(self.key)
        code, found = lifecycle.validate(
            licenses, self.body["license_key"], self.body.get("fingerprint")
        )
        if found is not None:
            self.set_log_customer(found.customer_id)
        shown = LicenseSerializer(found).data if found is not None else None
        return Response({"valid": code == "VALID", "code": code, "license": shown})


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
        answer=ActivationSerializer,
        is_list=True,
    )
    def get(self, request: Request, environment: str, license_id: UUID) -> Response:
        rows = Activation.objects.visible_to(self.key).filter(license=self.get_license(license_id))
        return self.page(rows, ActivationSerializer)

    @endpoint(
        Permission.LICENSES_MANAGE,
        "Activate a machine",
        body=ActivationInput,
        answer=ActivationSerializer,
        status=201,
        also=(200,),
        problems=("conflict",),
    )
    def post(self, request: Request, environment: str, license_id: UUID) -> Response:
        """Take a seat for a machine; one that has a seat keeps it (200)."""
        with conflicts():
            activation, is_new = lifecycle.activate(
                self.license, actor=self.actor, fingerprint=self.body["fingerprint"]
            )
        location = f"{request.path}/{activation.pk}"
        return Response(
            ActivationSerializer(activation).data,
            status=201 if is_new else 200,
            headers={"Location": location},
        )


class ActivationView(_LicenseView):
    """One machine of a license."""

    @endpoint(Permission.LICENSES_MANAGE, "Deactivate a machine", status=204)
    def delete(
        self, request: Request, environment: str, license_id: UUID, activation_id: UUID
    ) -> Response:
        rows = Activation.objects.visible_to(self.key).filter(license=self.get_license(license_id))
        found = rows.select_related("license").filter(pk=activation_id).first()
        if found is None:
            raise not_found()
        lifecycle.deactivate(found, actor=self.actor)
        return Response(status=204)
