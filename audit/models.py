"""The audit trail: one row for every action, written with it and never changed.

``audit.trail`` alone writes rows. No row holds a secret or a digest. What a row says of its object
is text and outlives the object; of people and objects it names there is no foreign key to lose.
"""

from datetime import datetime
from typing import Any, Self

from django.conf import settings
from django.db import models
from django.utils import timezone

from audit.actors import Source
from audit.kinds import action_label, field_label, kinds, subject_of
from database.fields import JSONObjectField
from database.uuid7 import first_id_at, new_id

MAX_LABEL_LENGTH = 200


class EventQuerySet(models.QuerySet["Event"]):
    """Events by object and time."""

    def about(self, row: models.Model) -> Self:
        """Events of an object, newest first; those of its namesakes that are gone, too."""
        subject = subject_of(row)
        return self.filter(object_type=subject.type, object_id=subject.id)

    def since(self, timestamp: datetime) -> Self:
        return self.filter(pk__gte=first_id_at(timestamp))

    def before(self, timestamp: datetime) -> Self:
        return self.filter(pk__lt=first_id_at(timestamp))


class Event(models.Model):
    """One action, and what it changed.

    ``changes`` maps a field to its readable values before and after. The id's time is that of
    ``created_at``: events are ordered, and found by time, by their ids.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    created_at = models.DateTimeField("when", default=timezone.now)
    source = models.CharField(max_length=7, choices=Source)
    # As text: the record must name the actor after the account is gone.
    actor_name = models.CharField("by", max_length=150)
    actor = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.DO_NOTHING,
        db_constraint=False,
        db_index=False,
        null=True,
        related_name="+",
    )
    # Text, too: the column type of PostgreSQL would write some addresses in another way.
    address = models.CharField("from", max_length=39, null=True)
    # Which there are is open: each kind has its own.
    action = models.CharField(max_length=30)
    object_type = models.CharField("kind", max_length=60)
    object_id = models.CharField("id", max_length=100, blank=True)
    object_label = models.CharField("object", max_length=MAX_LABEL_LENGTH, blank=True)
    environment = models.CharField(max_length=20, blank=True)
    reason = models.CharField(max_length=500, blank=True)
    changes = JSONObjectField()

    objects = EventQuerySet.as_manager()

    class Meta:
        verbose_name = "audit event"
        default_permissions = ("view",)
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["object_type", "object_id", "-id"], name="event_of_object"),
            models.Index(fields=["object_type", "-id"], name="event_by_kind"),
            models.Index(fields=["action", "-id"], name="event_by_action"),
            models.Index(fields=["actor_name", "-id"], name="event_by_actor"),
            models.Index(fields=["environment", "-id"], name="event_by_environment"),
            models.Index(fields=["source", "-id"], name="event_by_source"),
        ]

    @property
    def labelled_changes(self) -> list[tuple[str, str, Any]]:
        """The changes with what people read of each field, after its name."""
        return [
            (name, field_label(self.object_type, name), values)
            for name, values in self.changes.items()
        ]

    def __str__(self) -> str:
        return f"{self.get_action_display()} {self.object_label} by {self.actor_name}"

    def get_action_display(self) -> str:
        return action_label(self.object_type, self.action)

    def get_object_type_display(self) -> str:
        kind = kinds().get(self.object_type)
        return kind.label if kind else self.object_type


class Seal(models.Model):
    """The place of an event in the chain, written by ``audit.chain`` at the commit.

    No foreign key: that an event is gone must be found, not prevented.
    """

    sequence = models.BigIntegerField(primary_key=True)
    event_id = models.UUIDField(unique=True)
    # Of the digest of what the event says of its object; blank once that was deleted.
    salt = models.CharField(max_length=32, blank=True)
    content = models.CharField(max_length=64)
    hash = models.CharField(max_length=64)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.sequence}:{self.hash}"
