"""Jobs about licenses."""

from datetime import datetime
from typing import Any
from uuid import UUID

from django.utils import timezone
from rest_framework import serializers

from apikeys.guard.serializers import (
    BoundedListField,
    ObjectField,
    StrictSerializer,
    TextField,
    TimestampField,
    WholeNumberField,
)
from apikeys.permissions import Permission
from customers.licenses import lifecycle
from customers.licenses.lifecycle import MAX_SEATS
from customers.licenses.serializers import future
from customers.models import Customer, License, LicenseStatus
from database.refusals import Conflict
from jobs.registry import JobFailed, Step, Steps, Work, job_type

MAX_CUSTOMERS = 5_000
CHUNK = 50


class IssueParams(StrictSerializer):
    """Which licenses to issue to whom."""

    customers = BoundedListField(
        child=serializers.UUIDField(), min_length=1, max_length=MAX_CUSTOMERS
    )
    product = TextField(max_length=100)
    seats = WholeNumberField(min_value=1, max_value=MAX_SEATS, default=1)
    expires_at = TimestampField(required=False, allow_null=True, validators=[future])
    metadata = ObjectField(required=False)


@job_type("licenses.bulk_issue", params=IssueParams, permissions=(Permission.LICENSES_MANAGE,))
def issue_licenses(work: Work) -> Steps:
    """Issue a license of a product to each of many customers."""
    params: dict[str, Any] = dict(work.params)
    customer_ids = [UUID(text) for text in params.pop("customers")]
    if params.get("expires_at"):
        params["expires_at"] = datetime.fromisoformat(params["expires_at"])
    for start in range(work.done, len(customer_ids), CHUNK):
        some = customer_ids[start : start + CHUNK]
        customers = Customer.objects.visible_to(work.key).in_bulk(some)
        for customer_id in some:
            if customer_id not in customers:
                raise JobFailed(f"There is no customer {customer_id}. Leave it out.")
            try:
                lifecycle.issue(customers[customer_id], actor=work.actor, **params)
            except Conflict as conflict:
                # The expiry was still ahead when the job was submitted.
                raise JobFailed(str(conflict)) from None
        done = min(start + CHUNK, len(customer_ids))
        yield Step(done, len(customer_ids), f"{done} of {len(customer_ids)} licenses issued")
    return {"issued": len(customer_ids)}


class RenewParams(StrictSerializer):
    """Which licenses to renew until when."""

    expires_at = TimestampField(help_text="The new expiry.")
    expiring_before = TimestampField(help_text="Renew what ends before this time.")
    product = TextField(required=False)
    customer = serializers.UUIDField(required=False)


@job_type("licenses.bulk_renew", params=RenewParams, permissions=(Permission.LICENSES_MANAGE,))
def renew_licenses(work: Work) -> Steps:
    """Renew the active and expired licenses that expire before a time."""
    params: dict[str, Any] = dict(work.params)
    expires_at = datetime.fromisoformat(params.pop("expires_at"))
    if expires_at <= timezone.now():
        raise JobFailed("The new expiry has passed. Choose a time to come.")
    before = datetime.fromisoformat(params.pop("expiring_before"))

    def rows() -> Any:
        return License.objects.visible_to(work.key).filter(
            expires_at__lt=min(before, expires_at), status=LicenseStatus.ACTIVE, **params
        )

    done, total = work.done, work.done + rows().count()
    while chunk := list(rows().order_by("pk")[:CHUNK]):
        for license_ in chunk:
            lifecycle.move(license_, "renew", actor=work.actor, expires_at=expires_at)
        done += len(chunk)
        yield Step(done, total, f"{done} of {total} licenses renewed")
    return {"renewed": done}
