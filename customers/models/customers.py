"""Customers, each in one environment; only ``customers.customers.lifecycle`` writes rows."""

from typing import ClassVar

from django.db import models
from django.db.models import Q
from django.utils import timezone

from apikeys.environments import MAX_ENVIRONMENT_LENGTH, Environment
from apikeys.guard.isolation import IsolatedQuerySet
from database.fields import CaselessName, JSONObjectField
from database.uuid7 import new_id


class CustomerStatus(models.TextChoices):
    """Whether the platform serves the customer now."""

    ACTIVE = "active", "Active"
    SUSPENDED = "suspended", "Suspended"


class CustomerQuerySet(IsolatedQuerySet["Customer"]):
    """Customers; a key scoped to some sees those."""

    customer_path = "pk"


class Customer(models.Model):
    """A customer. Its reference is the caller's own number for it, unique per environment."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    environment = models.CharField(max_length=MAX_ENVIRONMENT_LENGTH, choices=Environment)
    name = models.CharField(max_length=200)
    email = models.EmailField(blank=True)
    external_reference = models.CharField(max_length=100, null=True, blank=True)
    status = models.CharField(max_length=9, choices=CustomerStatus, default=CustomerStatus.ACTIVE)
    metadata = JSONObjectField()
    created_at = models.DateTimeField("created", default=timezone.now, editable=False)
    updated_at = models.DateTimeField("updated", auto_now=True, editable=False)

    objects = CustomerQuerySet.as_manager()

    # Which customers no scoped key reaches, by the values of their fields.
    NOT_REACHED: ClassVar = {"status": CustomerStatus.SUSPENDED}

    class Meta:
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["id", "environment"], name="customer_id_environment"),
            models.UniqueConstraint(
                fields=["environment", "external_reference"], name="customer_reference"
            ),
            models.CheckConstraint(
                condition=Q(environment__in=Environment.values), name="customer_environment"
            ),
            models.CheckConstraint(
                condition=Q(status__in=CustomerStatus.values), name="customer_status"
            ),
        ]
        indexes = [
            models.Index(fields=["environment", "-id"], name="customer_newest"),
            models.Index(CaselessName("name"), name="customer_by_name"),
        ]

    def __str__(self) -> str:
        return self.name
