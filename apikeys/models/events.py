"""The audit trail: one row for every action, written with it and never changed."""

from django.conf import settings
from django.db import models
from django.db.models import F
from django.utils import timezone

from apikeys.models.keys import ApiKey
from apikeys.permissions import MAX_CODE_LENGTH
from database.uuid7 import new_id


class Action(models.TextChoices):
    """An audited action on a key."""

    CREATED = "created", "Created"
    UPDATED = "updated", "Updated"
    REGENERATED = "regenerated", "Regenerated"
    REVOKED = "revoked", "Revoked"
    ACTIVATED = "activated", "Activated"


class Source(models.TextChoices):
    """The source of an action."""

    ADMIN = "admin", "Admin"
    COMMAND = "command", "Command"
    API = "api", "API"
    SYSTEM = "system", "System"


class AuditEvent(models.Model):
    """The base of audit events; each model adds the object of the action."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    source = models.CharField(max_length=7, choices=Source)
    # As text: the record must name the actor after the account is gone.
    actor_name = models.CharField("by", max_length=150)
    address = models.GenericIPAddressField("from", null=True)
    created_at = models.DateTimeField("when", default=timezone.now)

    class Meta:
        abstract = True
        default_permissions = ()
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.get_action_display()} by {self.actor_name}"  # type: ignore[attr-defined]


class Event(AuditEvent):
    """One audit event of a key, and what changed.

    ``changes`` maps a setting's name to its values before and after; it holds no secret and
    no digest.
    """

    key = models.ForeignKey(ApiKey, on_delete=models.PROTECT, related_name="events", db_index=False)
    action = models.CharField(max_length=11, choices=Action)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    reason = models.CharField(max_length=500, blank=True)
    changes = models.JSONField(default=dict)
    created_at = models.DateTimeField("when", default=timezone.now, db_index=True)

    class Meta:
        verbose_name = "audit event"
        default_permissions = ("view",)
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(F("key"), F("created_at").desc(), name="event_by_key")]

    def __str__(self) -> str:
        return f"{self.get_action_display()} {self.key_id} by {self.actor_name}"


class PermissionAction(models.TextChoices):
    """An audited action on a custom permission."""

    CREATED = "created", "Created"
    UPDATED = "updated", "Updated"
    DELETED = "deleted", "Deleted"


class PermissionEvent(AuditEvent):
    """What was done to a custom permission, and what changed; its code outlives it."""

    permission_code = models.CharField(max_length=MAX_CODE_LENGTH)
    action = models.CharField(max_length=7, choices=PermissionAction)
    changes = models.JSONField(default=dict)

    class Meta(AuditEvent.Meta):
        indexes = [models.Index(fields=["permission_code", "-id"], name="permissionevent_by_code")]
