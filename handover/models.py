"""Hand-over links, of whose token only a digest is stored."""

from datetime import timedelta

from django.db import models
from django.utils import timezone

from apikeys.models import ApiKey
from database.fields import WordsField
from database.uuid7 import new_id


class HandOver(models.Model):
    """A link by which the next secret of a key is made, while the key names it.

    ``ApiKey.hand_over_id`` alone says whether it is pending. The worker deletes the rows of all
    others, so that what was used is as unknown as what never was.
    """

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="hand_overs")
    digest = models.CharField(max_length=64, unique=True, editable=False)
    # Argon2id, as the passwords of staff; blank for none.
    passphrase = models.CharField(max_length=200, blank=True, editable=False)
    attempts = models.PositiveSmallIntegerField(default=0)
    made_by = models.CharField(max_length=150)
    made_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)
    # How long the old secret goes on once the new one is made.
    overlap_seconds = models.PositiveIntegerField(default=0)
    # The first addresses that opened it, which may have been programs that preview links.
    opened_from = WordsField()

    class Meta:
        default_permissions = ()

    @property
    def overlap(self) -> timedelta:
        return timedelta(seconds=self.overlap_seconds)

    def __str__(self) -> str:
        return f"Hand-over of {self.key_id}"
