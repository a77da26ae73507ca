"""Every change to a customer, with the row locked, checked and recorded in the audit trail."""

from collections.abc import Callable, Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from apikeys import lifecycle
from audit.actors import Actor
from audit.trail import forget_contents, record, set_fields
from customers.audited import CustomerAction
from customers.models import Customer, CustomerStatus
from database.refusals import Conflict
from database.uuid7 import new_id

Condition = Callable[[Customer], None]

STILL_HAS = "The customer still has licenses or telemetry. Remove those first, or suspend it."
STATUS_ACTIONS = {
    CustomerStatus.SUSPENDED: CustomerAction.SUSPENDED,
    CustomerStatus.ACTIVE: CustomerAction.RESUMED,
}


def create(*, environment: str, actor: Actor, **fields: Any) -> Customer:
    """Make a customer; raise ``Conflict`` if the reference is another's."""
    customer = Customer(id=new_id(), environment=environment, **fields)
    with transaction.atomic():
        _save(customer, force_insert=True)
        record(customer, CustomerAction.CREATED, actor, {})
    return customer


def update(
    customer: Customer,
    *,
    actor: Actor,
    fields: Mapping[str, Any],
    precondition: Condition | None = None,
) -> Customer:
    """Change fields, the status among them: it suspends a customer or resumes it.

    ``precondition`` is called with the locked row and raises if it is not what the caller
    expects. Raises ``Conflict`` if the reference is another's, ``Customer.DoesNotExist`` if the
    customer was deleted meanwhile.
    """
    with transaction.atomic():
        # Who refers to the customer locks its key alone, and waits only for who deletes it.
        locked = Customer.objects.select_for_update(no_key=True).get(pk=customer.pk)
        if precondition is not None:
            precondition(locked)
        changes = set_fields(locked, fields)
        # Without a change too: each accepted write moves ``updated_at``, and so the ETag.
        _save(locked)
        if changes:
            action = CustomerAction.UPDATED
            if "status" in changes:
                action = STATUS_ACTIONS[CustomerStatus(locked.status)]
            record(locked, action, actor, changes)
    return locked


def delete(customer: Customer, *, actor: Actor, precondition: Condition | None = None) -> bool:
    """Delete ``customer`` and remove it from the scope of keys; return whether it was still there.

    ``precondition`` as for ``update``. Raises ``Conflict`` while something belongs to it. Its
    history keeps actions and actors, and of the customer the name in the last event alone.
    """
    try:
        with transaction.atomic():
            # The keys before the customer, as an update of a key locks them.
            lifecycle.forget_customer(customer.pk, actor=actor)
            locked = Customer.objects.select_for_update().filter(pk=customer.pk).first()
            if locked is None:
                return False
            if precondition is not None:
                precondition(locked)
            forget_contents(locked)
            record(locked, CustomerAction.DELETED, actor, {"name": [locked.name, None]})
            locked.delete()
    except ProtectedError:
        raise Conflict(STILL_HAS) from None
    return True


def _save(customer: Customer, *, force_insert: bool = False) -> None:
    try:
        with transaction.atomic():
            customer.save(force_insert=force_insert)
    except IntegrityError:
        raise Conflict(
            "Another customer of this environment has this external_reference."
            " Use another, or update that customer.",
            field="external_reference",
        ) from None
