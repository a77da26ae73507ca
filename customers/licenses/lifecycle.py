"""The life of a license: every change to one is made here, locked, checked and recorded.

The moves a license can make are the table ``MOVES``; a move that is not in it is a conflict.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from apikeys.audit import Actor
from customers.licenses import license_keys
from customers.models import (
    Activation,
    Customer,
    CustomerStatus,
    License,
    LicenseAction,
    LicenseEvent,
    StoredLicenseStatus,
)
from database.refusals import Conflict
from database.uuid7 import new_id

Status = StoredLicenseStatus
Condition = Callable[[License], None]


MAX_SEATS = 1_000_000
SEATS_OUT_OF_RANGE = f"The seats are out of range. Use 1 to {MAX_SEATS:,}."


class Move(NamedTuple):
    """From which statuses, to which (None: it stays), under which name it is recorded."""

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
    """Make a license for ``customer``; ``settings``: seats, expires_at, metadata.

    A door that may be asked twice for the same license chooses ``license_id`` beforehand; the
    second time raises ``Conflict`` and makes nothing.
    """
    _refuse_impossible(settings)
    made = License(
        id=license_id or new_id(),
        environment=customer.environment,
        customer=customer,
        license_key=license_keys.new(),
        product=product,
        **settings,
    )
    try:
        with transaction.atomic():
            made.save(force_insert=True)
            _record(made, LicenseAction.ISSUED, actor, {})
    except IntegrityError:
        if License.objects.filter(pk=made.pk).exists():
            raise Conflict(
                "This license has been issued already. Open it in the list of licenses."
            ) from None
        raise
    return made


def update(
    license_: License,
    *,
    actor: Actor,
    settings: Mapping[str, Any],
    precondition: Condition | None = None,
) -> License:
    """Change product, seats, expiry or metadata; never to fewer seats than are taken.

    ``provided`` is called with the locked row and raises if it is not what the caller expects.
    """
    with transaction.atomic():
        found = _locked(license_, precondition)
        if found.status == Status.REVOKED:
            raise Conflict("The license is revoked and stays as it was. Issue another.")
        _refuse_impossible({n: v for n, v in settings.items() if v != getattr(found, n)})
        seats = settings.get("seats", found.seats)
        if seats < found.seats and seats < (taken := found.activations.count()):
            raise Conflict(
                f"{taken} machines are activated. Deactivate some, then lower the seats."
            )
        changes = {}
        for name, value in settings.items():
            before = getattr(found, name)
            if _differs(before, value):
                changes[name] = [_plain(before), _plain(value)]
                setattr(found, name, value)
        if changes:
            found.save()
            _record(found, LicenseAction.UPDATED, actor, changes)
    return found


def move(
    license_: License,
    name: str,
    *,
    actor: Actor,
    expires_at: datetime | None = None,
    precondition: Condition | None = None,
) -> License:
    """Make one of the ``MOVES``; ``renew`` takes the new expiry, later than the one it has."""
    chosen = MOVES[name]
    with transaction.atomic():
        found = _locked(license_, precondition)
        if found.status not in chosen.sources:
            raise Conflict(
                f"A license that is {found.status} cannot {name}."
                " Read the license again and see what it is now."
            )
        changes: dict[str, Any] = {}
        if chosen.target is not None:
            changes["status"] = [found.status, chosen.target.value]
            found.status = chosen.target
        else:
            if expires_at is None and found.expires_at is None:
                # It lasts for ever already: nothing happens, and nothing is recorded.
                return found
            _refuse_earlier(found, expires_at)
            changes["expires_at"] = [_plain(found.expires_at), _plain(expires_at)]
            found.expires_at = expires_at
        found.save()
        _record(found, chosen.action, actor, changes)
    return found


def activate(license_: License, *, actor: Actor, fingerprint: str) -> tuple[Activation, bool]:
    """Take a seat for a machine; return its activation, and whether it is new."""
    with transaction.atomic():
        # Locked before the seats are counted, or two machines take the last one.
        found = _locked(license_)
        mine = found.activations.filter(fingerprint=fingerprint).first()
        if mine is not None:
            return mine, False
        if code := _refusal(found):
            raise Conflict(f"The license cannot be activated: {code}. See to the license first.")
        if found.activations.count() >= found.seats:
            raise Conflict(
                f"All {found.seats} seats are taken. Deactivate a machine, or raise the seats."
            )
        mine = Activation.objects.create(
            license=found, environment=found.environment, fingerprint=fingerprint
        )
        _record(found, LicenseAction.ACTIVATED, actor, {"machine": [None, fingerprint]})
    return mine, True


def deactivate(activation: Activation, *, actor: Actor) -> None:
    with transaction.atomic():
        found = _locked(activation.license)
        if Activation.objects.filter(pk=activation.pk).delete()[0]:
            changes = {"machine": [activation.fingerprint, None]}
            _record(found, LicenseAction.DEACTIVATED, actor, changes)


def validate(
    licenses: "QuerySet[License]", license_key: str, fingerprint: str | None
) -> tuple[str, License | None]:
    """Return the code of a license key, ``VALID`` or why it is not, and its license."""
    plain = license_keys.parse(license_key)
    found = licenses.select_related("customer").filter(license_key=plain).first() if plain else None
    if found is None:
        return "NOT_FOUND", None
    if code := _refusal(found):
        return code, found
    if fingerprint is None or found.activations.filter(fingerprint=fingerprint).exists():
        return "VALID", found
    is_full = found.activations.count() >= found.seats
    return ("TOO_MANY_MACHINES" if is_full else "FINGERPRINT_NOT_ACTIVATED"), found


def _refusal(license_: License) -> str:
    """Return why a license is good for no machine, blank if it is good."""
    if license_.status == Status.REVOKED:
        return "REVOKED"
    if license_.customer.status == CustomerStatus.SUSPENDED:
        return "CUSTOMER_SUSPENDED"
    if license_.status == Status.SUSPENDED:
        return "SUSPENDED"
    return "EXPIRED" if license_.is_expired() else ""


def _refuse_impossible(settings: Mapping[str, Any]) -> None:
    """Raise ``Conflict`` for a setting that no license may be given."""
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
    found = rows.get(pk=license_.pk)
    if precondition is not None:
        precondition(found)
    return found


def _record(
    license_: License, action: LicenseAction, actor: Actor, changes: dict[str, Any]
) -> None:
    LicenseEvent.objects.create(
        license=license_,
        action=action,
        source=actor.source,
        actor_name=actor.name,
        address=actor.address,
        changes=changes,
    )


def _differs(before: Any, after: Any) -> bool:
    """Whether two values of a setting differ; in JSON ``1``, ``1.0`` and ``true`` do."""
    if isinstance(after, dict):
        return json.dumps(before, sort_keys=True) != json.dumps(after, sort_keys=True)
    return bool(before != after)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
