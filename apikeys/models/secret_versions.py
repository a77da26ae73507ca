"""Secrets as they are stored, digests alone, and the peppers that they are signed with."""

from datetime import datetime
from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone

from apikeys.models.keys import ApiKey


class SecretVersionQuerySet(models.QuerySet["SecretVersion"]):
    """Secrets by whether they are accepted."""

    def accepted(self, now: datetime) -> Self:
        """Secrets that are current, or retiring but still within their overlap."""
        return self.filter(Q(retires_at=None) | Q(retires_at__gt=now))


class SecretVersion(models.Model):
    """One secret a key has had: a digest under a numbered pepper, never the secret."""

    # Found by the index of (key, number).
    key = models.ForeignKey(
        ApiKey, on_delete=models.PROTECT, related_name="secrets", db_index=False
    )
    number = models.PositiveIntegerField("version")
    digest = models.CharField(max_length=64, editable=False)
    pepper = models.PositiveSmallIntegerField(editable=False)
    created_at = models.DateTimeField("created", default=timezone.now)
    # Null while current; else the time from which it is refused.
    retires_at = models.DateTimeField("retires", null=True)

    objects = SecretVersionQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        ordering = ["-number"]
        constraints = [
            models.UniqueConstraint(fields=["key", "number"], name="secretversion_number"),
            models.UniqueConstraint(
                fields=["key"], condition=Q(retires_at=None), name="secretversion_one_current"
            ),
        ]

    def __str__(self) -> str:
        return f"Version {self.number} of {self.key_id}"


class Pepper(models.Model):
    """A pepper's number and a digest made with it, so that another under its number is noticed."""

    number = models.PositiveSmallIntegerField(primary_key=True)
    fingerprint = models.CharField(max_length=64)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"Pepper {self.number}"
