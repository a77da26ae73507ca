"""What owners declared in manifests, as it was when they applied them last."""

from django.db import models

from database.uuid7 import new_id

MAX_OWNER_LENGTH = 40


class Kind(models.TextChoices):
    """What a manifest can declare."""

    PERMISSION = "permission", "Permission"
    SERVICE = "service", "Service"
    CUSTOMER = "customer", "Customer"
    KEY = "key", "Key"


class ManifestOwner(models.Model):
    """Who applies manifests. The row is locked while one is applied: two never run at once."""

    name = models.CharField(primary_key=True, max_length=MAX_OWNER_LENGTH)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.name


class ManagedObject(models.Model):
    """One thing that an owner declared.

    ``identity`` is the environment and the name, as ``production/Orders``; ``object_id`` the row's
    key. ``applied`` holds the fields that were written in the manifest, as they were then.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    owner = models.ForeignKey(ManifestOwner, on_delete=models.PROTECT, related_name="objects_made")
    kind = models.CharField(max_length=10, choices=Kind)
    identity = models.CharField(max_length=250)
    object_id = models.CharField(max_length=36)
    applied = models.JSONField(default=dict)
    applied_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        ordering = ["kind", "identity"]
        constraints = [
            models.UniqueConstraint(fields=["kind", "identity"], name="managed_identity"),
            models.UniqueConstraint(fields=["kind", "object_id"], name="managed_object"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.identity}"
