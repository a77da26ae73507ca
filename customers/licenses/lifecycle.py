"""Every change to a license, with the row locked, checked and recorded in the audit trail.

``MOVES`` is the table of status changes; a change that is not in it is a conflict.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from audit.actors import Actor
from audit.trail import record, set_fields
from customers.audited import LicenseAction
from customers.licenses import license_keys
from customers.models import (
    Activation,
    Customer,
    CustomerStatus,
    License,
    StoredLicenseStatus,
)
from database.refusals import Conflict
from database.uuid7 import new_id

Status = StoredLicenseStatus
Condition = Callable[[License], None]


MAX_SEATS = 1_000_000
SEATS_OUT_OF_RANGE = f"The seats are out of range. Use 1 to {MAX_SEATS:,}."


class Move(NamedTuple):
    """From which statuses, to which (None: unchanged), and the audit event's action."""

    sources: frozenset[StoredLicenseStatus]
    target: StoredLicenseStatus | None
    action: LicenseAction


MOVES = {
    "suspend": Move(frozenset({Status.ACTIVE}), Status.SUSPENDED, LicenseAction.SUSPENDED),
    "reinstate": Move(frozenset({Status.SUSPENDED}), Status.ACTIVE, LicenseAction.REINSTATED),
    "renew": Move(frozenset({Status.ACTIVE, Status.SUSPENDED}), None, LicenseAction.RENEWED),
    "revoke": Move(
        frozenset({Status.ACTIVE, Status.SUSPENDED}), Status.REVOKED, LicenseAction.REVOKED
    ),
}


def issue(
    customer: Customer,
    *,
    actor: Actor,
    product: str,
    license_id: UUID | None = None,
    **settings: Any,
) -> License:
    """Create a license for ``customer``; ``settings``: seats, expires_at, metadata.

    A caller that may send the same request twice chooses ``license_id`` beforehand; the second
    request raises ``Conflict`` and creates nothing.
    """
    _refuse_impossible(settings)
    license_ = License(
        id=license_id or new_id(),
        environment=customer.environment,
        customer=customer,
        license_key=license_keys.new(),
        product=product,
        **settings,
    )
    try:
        with transaction.atomic():
            license_.save(force_insert=True)
            record(license_, LicenseAction.ISSUED, actor, {})
    except IntegrityError:
        if License.objects.filter(pk=license_.pk).exists():
            raise Conflict(
                "This license has been issued already. Open it in the list of licenses."
            ) from None
        raise
    return license_


def update(
    license_: License,
    *,
    actor: Actor,
    settings: Mapping[str, Any],
    precondition: Condition | None = None,
) -> License:
    """Change product, seats, expiry or metadata; never to fewer seats than are taken.

    ``precondition`` is called with the locked row and raises if it is not what the caller expects.
    """
    with transaction.atomic():
        locked = _locked(license_, precondition)
        if locked.status == Status.REVOKED:
            raise Conflict("The license is revoked and stays as it was. Issue another.")
        _refuse_impossible({n: v for n, v in settings.items() if v != getattr(locked, n)})
        seats = settings.get("seats", locked.seats)
        if seats < locked.seats and seats < (activated := locked.activations.count()):
            raise Conflict(
                f"{activated} machines are activated. Deactivate some, then lower the seats."
            )
        if changes := set_fields(locked, settings):
            locked.save()
            record(locked, LicenseAction.UPDATED, actor, changes)
    return locked


def move(
    license_: License,
    name: str,
    *,
    actor: Actor,
    expires_at: datetime | None = None,
    precondition: Condition | None = None,
) -> License:
    """Make one of the ``MOVES``; ``renew`` takes the new expiry, later than the one it has."""
    rule = MOVES[name]
    with transaction.atomic():
        locked = _locked(license_, precondition)
        if locked.status not in rule.sources:
            raise Conflict(
                f"A license that is {locked.status} cannot {name}."
                " Read the license again and see what it is now."
            )
        if rule.target is not None:
            changes = set_fields(locked, {"status": rule.target.value})
        else:
            if expires_at is None and locked.expires_at is None:
                # The license never expires already, so nothing changes and nothing is recorded.
                return locked
            _refuse_earlier(locked, expires_at)
            changes = set_fields(locked, {"expires_at": expires_at})
        locked.save()
        record(locked, rule.action, actor, changes)
    return locked


def activate(license_: License, *, actor: Actor, fingerprint: str) -> tuple[Activation, bool]:
    """Take a seat for a machine; return its activation, and whether it is new."""
    with transaction.atomic():
        # Locked before the seats are counted, or two machines could take the last one.
        locked = _locked(license_)
        activation = locked.activations.filter(fingerprint=fingerprint).first()
        if activation is not None:
            return activation, False
        if code := _refusal(locked):
            raise Conflict(f"The license cannot be activated: {code}. See to the license first.")
        if locked.activations.count() >= locked.seats:
            raise Conflict(
                f"All {locked.seats} seats are taken. Deactivate a machine, or raise the seats."
            )
        activation = Activation.objects.create(
            license=locked, environment=locked.environment, fingerprint=fingerprint
        )
        record(locked, LicenseAction.ACTIVATED, actor, {"machine": [None, fingerprint]})
    return activation, True


def deactivate(activation: Activation, *, actor: Actor) -> None:
    with transaction.atomic():
        locked = _locked(activation.license)
        if Activation.objects.filter(pk=activation.pk).delete()[0]:
            changes = {"machine": [activation.fingerprint, None]}
            record(locked, LicenseAction.DEACTIVATED, actor, changes)


def validate(
    licenses: "QuerySet[License]", license_key: str, fingerprint: str | None
) -> tuple[str, License | None]:
    """Return the code of a license key, ``VALID`` or why it is not, and its license."""
    plain = license_keys.parse(license_key)
    license_ = (
        licenses.select_related("customer").filter(license_key=plain).first() if plain else None
    )
    if license_ is None:
        return "NOT_FOUND", None
    if code := _refusal(license_):
        return code, license_
    if fingerprint is None or license_.activations.filter(fingerprint=fingerprint).exists():
        return "VALID", license_
    is_full = license_.activations.count() >= license_.seats
    return ("TOO_MANY_MACHINES" if is_full else "FINGERPRINT_NOT_ACTIVATED"), license_


def _refusal(license_: License) -> str:
    if license_.status == Status.REVOKED:
        return "REVOKED"
    if license_.customer.status == CustomerStatus.SUSPENDED:
        return "CUSTOMER_SUSPENDED"
    if license_.status == Status.SUSPENDED:
        return "SUSPENDED"
    return "EXPIRED" if license_.is_expired() else ""


def _refuse_impossible(settings: Mapping[str, Any]) -> None:
    if not 1 <= settings.get("seats", 1) <= MAX_SEATS:
        raise Conflict(SEATS_OUT_OF_RANGE, field="seats")
    expires_at = settings.get("expires_at")
    if expires_at is not None and expires_at <= timezone.now():
        raise Conflict("The expiry has passed. Choose a time to come.", field="expires_at")


def _refuse_earlier(license_: License, expires_at: datetime | None) -> None:
    if expires_at is None:
        return
    if expires_at <= timezone.now():
        raise Conflict("The new expiry has passed. Choose a time to come.")
    if license_.expires_at is None or expires_at <= license_.expires_at:
        raise Conflict("The new expiry is not later than the one it has. Choose a later one.")


def _locked(license_: License, precondition: Condition | None = None) -> License:
    rows = License.objects.select_for_update(of=("self",)).select_related("customer")
    locked = rows.get(pk=license_.pk)
    if precondition is not None:
        precondition(locked)
    return locked
