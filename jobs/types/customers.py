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
    made: int = work.state.get("created", 0)
    changed: int = work.state.get("updated", 0)
    for start in range(work.done, len(rows), CHUNK):
        for row in rows[start : start + CHUNK]:
            if _upsert(work, row):
                made += 1
            else:
                changed += 1
        done = min(start + CHUNK, len(rows))
        yield Step(done, len(rows), f"{done} of {len(rows)}", {"created": made, "updated": changed})
    return {"created": made, "updated": changed}


def _upsert(work: Work, row: dict[str, Any]) -> bool:
    """Write a row; return whether it made a customer."""
    reached = Customer.objects.visible_to(work.key)
    reference = row["external_reference"]
    found = reached.filter(external_reference=reference).first()
    if found is not None:
        # Unless it was deleted a moment ago.
        with suppress(Customer.DoesNotExist):
            lifecycle.update(found, actor=work.actor, fields=row)
            return False
    if work.key.is_scoped:
        raise _unreached(reference)
    lifecycle.create(environment=work.key.environment, actor=work.actor, **row)
    return True


def _unreached(reference: str) -> JobFailed:
    """Return the same for a customer that is not there and for one that must not be seen."""
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
    # What is made from now on is left for the next export.
    until = work.state.get("until") or timezone.now().isoformat()

    def rows() -> Any:
        seen = Customer.objects.visible_to(work.key)
        return seen.filter(created_at__lte=until, **work.params).order_by("pk")

    total = rows().count()
    done, last = work.done, work.state.get("last") or NONE
    while found := list(rows().filter(pk__gt=last)[: CHUNK * 5]):
        part = "".join(
            json.dumps(CustomerSerializer(row).data, ensure_ascii=False) + "\n" for row in found
        )
        done, last = done + len(found), str(found[-1].pk)
        state = {"until": until, "last": last}
        yield Step(done, max(total, done), f"{done} of {total}", state, part)
    return {"customers": done}
