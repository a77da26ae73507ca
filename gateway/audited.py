"""What the audit trail says of services."""

from django.db import models

from audit.kinds import Kind


class ServiceAction(models.TextChoices):
    """What was done to a service."""

    CREATED = "created", "Created"
    UPDATED = "updated", "Updated"
    ENABLED = "enabled", "Enabled"
    DISABLED = "disabled", "Disabled"
    DELETED = "deleted", "Deleted"


SERVICES = Kind(
    "gateway.service", "Service", ServiceAction, id_field="name", permission="gateway.view_service"
)
