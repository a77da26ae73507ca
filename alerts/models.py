"""The alerts that were raised, each sent once, and whose turn it is to look for causes.

Only ``alerts.causes`` makes rows and ``alerts.sending`` marks them as sent.
"""

from datetime import datetime
from typing import Any, Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from apikeys.models import ApiKey
from database.uuid7 import new_id

MAX_SUBJECT_LENGTH = 250
MAX_TEXT_LENGTH = 2000


class Kind(models.TextChoices):
    """What an alert is about."""

    EXPIRY = "expiry", "Expiry"
    ERRORS = "errors", "Many errors"
    LIMITED = "limited", "Often limited"
    NETWORK = "network", "New network"
    REVOKED = "revoked", "Revoked key in use"


class AlertQuerySet(models.QuerySet["Alert"]):
    """Alerts by whether they were sent."""

    def to_send(self, abandoned_before: datetime) -> Self:
        """Alerts that nobody sends, or whose sender has died."""
        return self.filter(
            Q(claimed_at=None) | Q(claimed_at__lt=abandoned_before), sent_at=None
        ).order_by("pk")


class Alert(models.Model):
    """A message about a key, raised once for each cause and window."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        ApiKey, on_delete=models.CASCADE, related_name="alerts", db_index=False
    )
    kind = models.CharField(max_length=8, choices=Kind)
    # Names the time that the alert stands for; of an expiry, also what is left until then.
    window = models.CharField(max_length=60)
    subject = models.CharField(max_length=MAX_SUBJECT_LENGTH)
    text = models.CharField(max_length=MAX_TEXT_LENGTH)
    created_at = models.DateTimeField(default=timezone.now)
    # When a worker started to send it; without ``sent_at`` for long, that worker died.
    claimed_at = models.DateTimeField(null=True)
    sent_at = models.DateTimeField(null=True)

    objects = AlertQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [models.UniqueConstraint(fields=["key", "kind", "window"], name="alert_once")]
        indexes = [
            models.Index(fields=["id"], name="alert_unsent", condition=Q(sent_at=None)),
            models.Index(fields=["created_at"], name="alert_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} of {self.key_id}"


class Round(models.Model):
    """The one row that says when causes were last looked for, by whichever worker."""

    began_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Round of {self.began_at:%Y-%m-%d %H:%M:%S}"
