"""Jobs about customers."""

import json
from contextlib import suppress
from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework import serializers

from apikeys.guard.serializers import BoundedListField, StrictSerializer, TextField
from apikeys.permissions import Permission
from customers.customers import lifecycle
from customers.customers.serializers import CustomerInput, CustomerSerializer
from customers.models import Customer, CustomerStatus
from jobs.registry import JobFailed, Step, Steps, Work, job_type

MAX_ROWS = 5_000
CHUNK = 100
# Before every id.
NONE = str(UUID(int=0))


class ImportRow(CustomerInput):
    """A customer, known by its reference."""

    external_reference = TextField(max_length=100)


class ImportParams(StrictSerializer):
    """The customers to make or change."""

    rows = BoundedListField(child=ImportRow(), min_length=1, max_length=MAX_ROWS)


@job_type(
    "customers.import",
    params=ImportParams,
    permissions=(Permission.CUSTOMERS_READ, Permission.CUSTOMERS_WRITE),
)
def import_customers(work: Work) -> Steps:
    """Create customers, or update those whose external_reference exists."""
    rows = work.params["rows"]
    created: int = work.state.get("created", 0)
    updated: int = work.state.get("updated", 0)
    for start in range(work.done, len(rows), CHUNK):
        for row in rows[start : start + CHUNK]:
            if _upsert(work, row):
                created += 1
            else:
                updated += 1
        done = min(start + CHUNK, len(rows))
        yield Step(
            done, len(rows), f"{done} of {len(rows)}", {"created": created, "updated": updated}
        )
    return {"created": created, "updated": updated}


def _upsert(work: Work, row: dict[str, Any]) -> bool:
    reached = Customer.objects.visible_to(work.key)
    reference = row["external_reference"]
    customer = reached.filter(external_reference=reference).first()
    if customer is not None:
        # Another request may have deleted the customer meanwhile.
        with suppress(Customer.DoesNotExist):
            lifecycle.update(customer, actor=work.actor, fields=row)
            return False
    if work.key.is_scoped:
        raise _unreached(reference)
    lifecycle.create(environment=work.key.environment, actor=work.actor, **row)
    return True


def _unreached(reference: str) -> JobFailed:
    """The same whether the customer is absent or invisible to the key."""
    return JobFailed(
        f"The key reaches no customer {reference!r}, and a key for selected customers makes none."
        " Leave it out, or use another key."
    )


class ExportParams(StrictSerializer):
    """Which customers to export."""

    status = serializers.ChoiceField(CustomerStatus.choices, required=False)


@job_type(
    "customers.export",
    params=ExportParams,
    permissions=(Permission.CUSTOMERS_READ,),
    file_name="customers.ndjson",
    file_type="application/x-ndjson",
)
def export_customers(work: Work) -> Steps:
    """Write the customers to a file, one JSON object a line, oldest first."""
    # Customers created from now on are left for the next export.
    until = work.state.get("until") or timezone.now().isoformat()

    def rows() -> Any:
        visible = Customer.objects.visible_to(work.key)
        return visible.filter(created_at__lte=until, **work.params).order_by("pk")

    total = rows().count()
    done, last = work.done, work.state.get("last") or NONE
    while chunk := list(rows().filter(pk__gt=last)[: CHUNK * 5]):
        part = "".join(
            json.dumps(CustomerSerializer(row).data, ensure_ascii=False) + "\n" for row in chunk
        )
        done, last = done + len(chunk), str(chunk[-1].pk)
        state = {"until": until, "last": last}
        yield Step(done, max(total, done), f"{done} of {total}", state, part)
    return {"customers": done}
