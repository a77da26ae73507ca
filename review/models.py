"""Findings that somebody looked at and set aside for a while; ``review.lifecycle`` writes them."""

from datetime import datetime
from typing import Any, Self

from django.db import models
from django.db.models import OuterRef

from apikeys.models import ApiKey
from apikeys.validation import MAX_REASON_LENGTH

MAX_FINDING_LENGTH = 20


class DismissalQuerySet(models.QuerySet["Dismissal"]):
    """Dismissals by finding and key."""

    def until_after(self, finding: str, now: datetime) -> Self:
        return self.filter(finding=finding, until__gt=now)

    def of_unchanged_key(self) -> Self:
        """Those of the key of an outer query, if it has not been changed since."""
        return self.filter(key=OuterRef("pk"), revision=OuterRef("revision"))


class Dismissal(models.Model):
    """A finding of a key that is left out of the queue until a time, or until the key changes."""

    key: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        ApiKey, on_delete=models.CASCADE, db_index=False, related_name="dismissals"
    )
    finding = models.CharField(max_length=MAX_FINDING_LENGTH)
    reason = models.CharField(max_length=MAX_REASON_LENGTH)
    until = models.DateTimeField()
    created_at = models.DateTimeField()
    # As text: it must name the person after the account is gone.
    by = models.CharField(max_length=150)
    # What the key was like: its settings, and how many of its permissions were not used.
    revision = models.PositiveIntegerField()
    unused = models.PositiveSmallIntegerField()

    objects = DismissalQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["key", "finding"], name="dismissal_once_a_finding")
        ]

    def __str__(self) -> str:
        return f"{self.finding} of {self.key_id} until {self.until:%Y-%m-%d}"
