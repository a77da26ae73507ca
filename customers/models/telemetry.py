"""Telemetry: events that customers' installations report."""

from typing import TYPE_CHECKING, Self
from uuid import UUID

from django.db import models
from django.utils import timezone

from apikeys.environments import MAX_ENVIRONMENT_LENGTH, Environment
from apikeys.guard.isolation import IsolatedQuerySet
from customers.models.customers import Customer
from customers.models.licenses import License
from database.constraints import SameEnvironment
from database.fields import JSONObjectField
from database.uuid7 import new_id

if TYPE_CHECKING:
    from apikeys.models import ApiKey

# The subject of the totals of a whole environment.
ALL_CUSTOMERS = UUID(int=0)


class TelemetryQuerySet(IsolatedQuerySet["TelemetryEvent"]):
    """Events; they belong to a customer."""


class TelemetryEvent(models.Model):
    """An event at a customer; ``event_id`` is chosen by the sender."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    environment = models.CharField(max_length=MAX_ENVIRONMENT_LENGTH, choices=Environment)
    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, related_name="telemetry", db_index=False
    )
    license = models.ForeignKey(
        License, on_delete=models.PROTECT, null=True, blank=True, related_name="telemetry",
        db_index=False,
    )  # fmt: skip
    type = models.CharField(max_length=100)
    event_id = models.CharField(max_length=100, null=True, blank=True)
    occurred_at = models.DateTimeField("occurred")
    received_at = models.DateTimeField("received", default=timezone.now)
    properties = JSONObjectField()

    objects = TelemetryQuerySet.as_manager()

    class Meta:
        verbose_name = "telemetry event"
        default_permissions = ("view",)
        ordering = ["-id"]
        constraints = [
            # The name first: an event is looked for by it alone, too.
            models.UniqueConstraint(fields=["event_id", "customer"], name="telemetry_event_id"),
            SameEnvironment(field="customer", name="telemetry_customer_environment"),
            SameEnvironment(field="license", name="telemetry_license_environment"),
        ]
        indexes = [
            # With the time, so that a filter by it looks at the index alone.
            models.Index(fields=["environment", "-id", "occurred_at"], name="telemetry_newest"),
            models.Index(fields=["customer", "-id"], name="telemetry_by_customer"),
            models.Index(fields=["environment", "type", "-id"], name="telemetry_by_type"),
            models.Index(fields=["type", "-id"], name="telemetry_by_type_anywhere"),
            models.Index(
                fields=["license", "-id"],
                name="telemetry_by_license",
                condition=models.Q(license__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} of {self.customer_id}"


class TelemetryTotalQuerySet(models.QuerySet["TelemetryTotal"]):
    """Totals by whose they are."""

    def visible_to(
        self, key: "ApiKey", *, customer: UUID | None = None, license_: UUID | None = None
    ) -> Self:
        """Return the totals of what ``key`` may see, of one customer or license if named."""
        rows = self.filter(environment=key.environment)
        if license_ is not None:
            licenses = License.objects.visible_to(key).filter(pk=license_)
            if customer is not None:
                licenses = licenses.filter(customer=customer)
            return rows.filter(subject__in=licenses.order_by().values("pk"))
        if customer is None and not key.is_scoped:
            return rows.filter(subject=ALL_CUSTOMERS)
        customers = Customer.objects.visible_to(key)
        if customer is not None:
            customers = customers.filter(pk=customer)
        return rows.filter(subject__in=customers.order_by().values("pk"))


class TelemetryTotal(models.Model):
    """The number of events of a type in an hour, of a customer, a license or an environment.

    Only ``customers.telemetry.rollups`` writes rows. ``subject`` is not a foreign key: totals
    outlive their customer.
    """

    environment = models.CharField(max_length=MAX_ENVIRONMENT_LENGTH, choices=Environment)
    subject = models.UUIDField()
    hour = models.DateTimeField()
    type = models.CharField(max_length=100)
    number = models.BigIntegerField()

    objects = TelemetryTotalQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["environment", "subject", "hour", "type"], name="telemetry_total_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.number} x {self.type} at {self.hour:%Y-%m-%d %H}:00"
