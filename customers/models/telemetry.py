"""Telemetry: events that customers' installations report."""

from django.db import models
from django.utils import timezone

from apikeys.constraints import SameEnvironment
from apikeys.environments import Environment
from apikeys.fields import JSONObjectField
from apikeys.identifiers import new_id
from apikeys.isolation import IsolatedQuerySet
from customers.models.customers import Customer
from customers.models.licenses import License


class TelemetryQuerySet(IsolatedQuerySet["TelemetryEvent"]):
    """Events; they belong to a customer."""


class TelemetryEvent(models.Model):
    """Something that happened at a customer. ``event_id`` is the sender's own name for it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    environment = models.CharField(max_length=11, choices=Environment)
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
            models.Index(fields=["environment", "-id"], name="telemetry_newest"),
            models.Index(fields=["customer", "-id"], name="telemetry_by_customer"),
            models.Index(fields=["environment", "type", "-id"], name="telemetry_by_type"),
            models.Index(fields=["environment", "occurred_at", "type"], name="telemetry_by_time"),
            models.Index(
                fields=["license", "-id"],
                name="telemetry_by_license",
                condition=models.Q(license__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.type} of {self.customer_id}"
