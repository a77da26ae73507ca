"""Dismissing a finding of a key, and bringing it back; both are on record as events of the key."""

from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from apikeys.audited import Action
from apikeys.models import ApiKey
from apikeys.texts import clean_text
from apikeys.validation import MAX_REASON_LENGTH
from audit.actors import Actor
from audit.trail import record
from database.refusals import Conflict, Refused
from logs.unused_permissions import UNUSED_FOR, unused_permissions
from review.findings import Finding
from review.models import Dismissal

MAX_DISMISSED_FOR = timedelta(days=366)


def dismiss(
    key: ApiKey,
    finding: Finding,
    *,
    reason: str,
    until: datetime,
    actor: Actor,
    revision: int | None = None,
) -> Dismissal:
    """Leave a finding of a key out of the queue until a time, or until the key changes."""
    now = timezone.now()
    reason = clean_text(reason, field="reason", longest=MAX_REASON_LENGTH)
    if not reason:
        raise Refused(
            "A dismissal needs a reason. Write why the key may stay as it is.", field="reason"
        )
    if not now < until <= now + MAX_DISMISSED_FOR:
        raise Refused(
            f"The time is out of range. Choose at most {MAX_DISMISSED_FOR.days} days from now.",
            field="until",
        )
    with transaction.atomic():
        key = ApiKey.objects.select_for_update().get(pk=key.pk)
        is_changed = revision is not None and revision != key.revision
        if is_changed or not finding.keys(now).filter(pk=key.pk).exists():
            raise Conflict(
                f"The key {key} has changed since this page was opened. Look at the queue again."
            )
        unused = unused_permissions([key], since=now - UNUSED_FOR)[key.pk]
        values = {
            "reason": reason,
            "until": until,
            "created_at": now,
            "by": actor.name,
            "revision": key.revision,
            "unused": len(unused),
        }
        dismissal, _ = Dismissal.objects.update_or_create(values, key=key, finding=finding.name)
        changes = {"finding": [None, finding.label], "until": [None, f"{until:%Y-%m-%d %H:%M} UTC"]}
        record(key, Action.DISMISSED, actor, changes, reason)
    return dismissal


def bring_back(key: ApiKey, finding: Finding, *, actor: Actor) -> bool:
    """End a dismissal; return whether there was one."""
    with transaction.atomic():
        key = ApiKey.objects.select_for_update().get(pk=key.pk)
        deleted, _ = Dismissal.objects.filter(key=key, finding=finding.name).delete()
        if deleted:
            record(key, Action.BROUGHT_BACK, actor, {"finding": [finding.label, None]})
    return bool(deleted)
