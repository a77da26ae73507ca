"""What the audit trail says of customers and licenses."""

from django.db import models

from audit.kinds import Kind


class CustomerAction(models.TextChoices):
    """An audited action on a customer."""

    CREATED = "created", "Created"
    UPDATED = "updated", "Updated"
    SUSPENDED = "suspended", "Suspended"
    RESUMED = "resumed", "Resumed"
    DELETED = "deleted", "Deleted"


class LicenseAction(models.TextChoices):
    """An audited action on a license."""

    ISSUED = "issued", "Issued"
    UPDATED = "updated", "Updated"
    SUSPENDED = "suspended", "Suspended"
    REINSTATED = "reinstated", "Reinstated"
    RENEWED = "renewed", "Renewed"
    REVOKED = "revoked", "Revoked"
    ACTIVATED = "activated", "Machine activated"
    DEACTIVATED = "deactivated", "Machine deactivated"


CUSTOMERS = Kind(
    "customers.customer",
    "Customer",
    CustomerAction,
    permission="customers.view_customer",
    is_forgotten=True,
)
LICENSES = Kind("customers.license", "License", LicenseAction, permission="customers.view_license")
