"""A customer is deleted here, whichever door it came through."""

from collections.abc import Callable

from django.db import transaction
from django.db.models import ProtectedError

from apikeys import lifecycle
from apikeys.audit import Actor
from customers.models import Customer
from database.refusals import Conflict

STILL_HAS = "The customer still has licenses or telemetry. Remove those first, or suspend it."


def delete(
    customer: Customer,
    *,
    actor: Actor,
    precondition: Callable[[Customer], None] | None = None,
) -> bool:
    """Delete ``customer`` and take it out of the keys' reach; whether it was still there.

    ``provided`` is called with the locked row and raises if it is not what the caller expects.
    Raises ``Conflict`` while something belongs to it.
    """
    try:
        with transaction.atomic():
            # The keys before the customer, as an update of a key locks them.
            lifecycle.forget_customer(customer.pk, actor=actor)
            found = Customer.objects.select_for_update().filter(pk=customer.pk).first()
            if found is None:
                return False
            if precondition is not None:
                precondition(found)
            found.delete()
    except ProtectedError:
        raise Conflict(STILL_HAS) from None
    return True
