"""Licenses and their activations; only ``customers.licenses.lifecycle`` writes rows."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Count, OuterRef, Q, Subquery
from django.db.models.functions import Coalesce
from django.utils import timezone

from apikeys.environments import MAX_ENVIRONMENT_LENGTH, Environment
from apikeys.guard.isolation import IsolatedQuerySet
from customers.models.customers import Customer
from database.constraints import SameEnvironment
from database.fields import JSONObjectField
from database.uuid7 import new_id


class StoredLicenseStatus(models.TextChoices):
    """The stored status; expiry is computed from the time."""

    ACTIVE = "active", "Active"
    SUSPENDED = "suspended", "Suspended"
    REVOKED = "revoked", "Revoked"


class LicenseStatus(models.TextChoices):
    """The status of a license now, expiry included."""

    ACTIVE = "active", "Active"
    SUSPENDED = "suspended", "Suspended"
    REVOKED = "revoked", "Revoked"
    EXPIRED = "expired", "Expired"


class LicenseQuerySet(IsolatedQuerySet["License"]):
    """Licenses by status, with their seats."""

    def with_status(self, status: str) -> Self:
        is_over = Q(expires_at__lte=timezone.now())
        if status == LicenseStatus.EXPIRED:
            return self.filter(is_over, status=StoredLicenseStatus.ACTIVE)
        if status == LicenseStatus.ACTIVE:
            return self.filter(status=status).exclude(is_over)
        return self.filter(status=status)

    def with_seats_taken(self) -> Self:
        """Licenses with ``seats_taken``, how many machines each is activated on."""
        machines = Activation.objects.filter(license=OuterRef("pk")).order_by()
        counted = machines.values("license").annotate(number=Count("pk")).values("number")
        return self.annotate(seats_taken=Coalesce(Subquery(counted), 0))


class License(models.Model):
    """A license. Its key is stored in full, so that its holder can ask for it again."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    environment = models.CharField(max_length=MAX_ENVIRONMENT_LENGTH, choices=Environment)
    customer = models.ForeignKey(
        Customer, on_delete=models.PROTECT, related_name="licenses", db_index=False
    )
    license_key = models.CharField(max_length=29, unique=True)
    product = models.CharField(max_length=100)
    status = models.CharField(
        max_length=9, choices=StoredLicenseStatus, default=StoredLicenseStatus.ACTIVE
    )
    seats = models.PositiveIntegerField(default=1)
    expires_at = models.DateTimeField("expires", null=True, blank=True)
    metadata = JSONObjectField()
    created_at = models.DateTimeField("created", default=timezone.now, editable=False)
    updated_at = models.DateTimeField("updated", auto_now=True, editable=False)

    objects = LicenseQuerySet.as_manager()

    class Meta:
        default_permissions = ("add", "change", "view")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["id", "environment"], name="license_id_environment"),
            SameEnvironment(field="customer", name="license_customer_environment"),
            models.CheckConstraint(
                condition=Q(status__in=StoredLicenseStatus.values), name="license_status"
            ),
            models.CheckConstraint(condition=Q(seats__gte=1), name="license_seats"),
        ]
        indexes = [
            models.Index(fields=["environment", "-id"], name="license_newest"),
            models.Index(fields=["customer", "-id"], name="license_by_customer"),
        ]

    def __str__(self) -> str:
        return f"{self.product} for {self.customer}"

    def is_expired(self, now: datetime | None = None) -> bool:
        """Whether ``expires_at`` has come."""
        return self.expires_at is not None and self.expires_at <= (now or timezone.now())

    @property
    def effective_status(self) -> LicenseStatus:
        if self.status == StoredLicenseStatus.ACTIVE and self.is_expired():
            return LicenseStatus.EXPIRED
        return LicenseStatus(self.status)


class ActivationQuerySet(IsolatedQuerySet["Activation"]):
    """Activations; they belong to the customer of their license."""

    customer_path = "license__customer_id"


class Activation(models.Model):
    """A machine that a license runs on; it takes a seat."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    environment = models.CharField(max_length=MAX_ENVIRONMENT_LENGTH, choices=Environment)
    license = models.ForeignKey(
        License, on_delete=models.CASCADE, related_name="activations", db_index=False
    )
    fingerprint = models.CharField(max_length=200)
    created_at = models.DateTimeField("created", default=timezone.now, editable=False)

    objects = ActivationQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["license", "fingerprint"], name="activation_once"),
            SameEnvironment(field="license", name="activation_license_environment"),
        ]

    def __str__(self) -> str:
        return self.fingerprint
