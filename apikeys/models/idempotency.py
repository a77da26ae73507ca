"""What was answered to a request that carried an ``Idempotency-Key``."""

from uuid import uuid4

from django.db import models
from django.utils import timezone

from apikeys.models.keys import ApiKey


class IdempotentRequest(models.Model):
    """A key's request by the name its caller gave it, and the answer once there is one.

    ``claim`` names who is working on it until ``claimed_until``; the answer is stored by that
    claim only, in the transaction of the request's effect.
    """

    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="+", db_index=False)
    idempotency_key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    claim = models.UUIDField(default=uuid4)
    claimed_until = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    status = models.PositiveSmallIntegerField(null=True)
    content_type = models.CharField(max_length=100, blank=True)
    location = models.CharField(max_length=500, blank=True)
    etag = models.CharField(max_length=100, blank=True)
    body = models.TextField(blank=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["key", "idempotency_key"], name="idempotent_once")
        ]

    def __str__(self) -> str:
        return f"{self.idempotency_key} of {self.key_id}"
