"""Which expiry notices were sent."""

from typing import Any

from django.db import models
from django.utils import timezone

from apikeys.models import ApiKey


class ExpiryNotice(models.Model):
    """A notice that a key expires within ``days``; a changed expiry gets notices of its own."""

    key: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        ApiKey, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    expires_at = models.DateTimeField()
    days = models.PositiveSmallIntegerField()
    # When a worker started to send it; without ``sent_at`` for long, that worker died.
    claimed_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["key", "expires_at", "days"], name="expiry_notice_once")
        ]

    def __str__(self) -> str:
        return f"{self.key_id} expires within {self.days} days"
