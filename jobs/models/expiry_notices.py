"""Which expiries were announced, so that each is announced once."""

from typing import Any

from django.db import models
from django.utils import timezone

from apikeys.models import ApiKey


class ExpiryNotice(models.Model):
    """That a key's expiry was announced so many days ahead; a new expiry is announced anew."""

    key: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        ApiKey, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    expires_at = models.DateTimeField()
    days = models.PositiveSmallIntegerField()
    # Taken by a worker that sends it; without an end, by one that died over it.
    claimed_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["key", "expires_at", "days"], name="expiry_notice_once")
        ]

    def __str__(self) -> str:
        return f"{self.key_id} expires within {self.days} days"
