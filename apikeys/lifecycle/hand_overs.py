"""The hand-over of a key: its next secret is made by whom it is for, once.

``ApiKey.hand_over_id`` names the one hand-over by which that may happen. It is cleared when it has
happened, when the hand-over is withdrawn or expires, and by a revoke and by every other new secret:
what the key does not name any more is good for nothing. The links are ``handover``'s.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from apikeys.audited import Action
from apikeys.lifecycle.issuing import (
    IssuedKey,
    locked,
    refuse_overlap,
    refuse_stale,
    replace_secret,
    touch,
)
from apikeys.models import ApiKey
from apikeys.validation import require_proof
from audit.actors import Actor
from audit.models import Event
from audit.trail import record
from database.refusals import Conflict


def offer(
    key: ApiKey,
    hand_over_id: UUID,
    *,
    actor: Actor,
    overlap: timedelta,
    changes: Mapping[str, Any],
    revision: int | None = None,
) -> ApiKey:
    """Let the next secret be made by a hand-over; one that is pending is withdrawn.

    With ``revision``, refuse if the key changed since, so that a form sent twice makes one link.
    """
    with transaction.atomic():
        key = locked(key.pk)
        refuse_stale(key, revision)
        if key.is_revoked or key.is_expired():
            state = "revoked" if key.is_revoked else "expired"
            remedy = "Activate it" if key.is_revoked else "Choose a later expiry"
            raise Conflict(f"The key is {state}, so nobody could use it. {remedy} first.")
        refuse_overlap(key, overlap)
        require_proof(key.environment, actor)
        _withdraw(key, actor, "Another hand-over was made.")
        key.hand_over_id = hand_over_id
        touch(key, "hand_over_id")
        record(key, Action.HAND_OVER_MADE, actor, changes)
    return key


def withdraw(
    key: ApiKey, *, actor: Actor, hand_over_id: UUID | None = None, reason: str = ""
) -> Event | None:
    """Withdraw the hand-over that is pending, or this one; None if it is not pending."""
    with transaction.atomic():
        key = locked(key.pk)
        if hand_over_id is not None and key.hand_over_id != hand_over_id:
            return None
        return _withdraw(key, actor, reason)


def expire(key: ApiKey, hand_over_id: UUID, *, actor: Actor) -> Event | None:
    """End a hand-over whose time is over; None if it is not pending any more."""
    with transaction.atomic():
        key = locked(key.pk)
        if key.hand_over_id != hand_over_id:
            return None
        return _end(key, Action.HAND_OVER_EXPIRED, actor)


def is_pending(key: ApiKey, hand_over_id: UUID) -> bool:
    """Whether the key's next secret may be made by this hand-over now."""
    is_usable = not (key.is_revoked or key.is_expired())
    return key.hand_over_id == hand_over_id and is_usable


def take(
    key: ApiKey, hand_over_id: UUID, *, actor: Actor, overlap: timedelta, until: datetime
) -> IssuedKey | None:
    """Make the secret that a hand-over is about; None if that is not pending any more.

    ``until``: when the hand-over expires, judged with the key's row locked.
    """
    with transaction.atomic():
        key = locked(key.pk)
        if not is_pending(key, hand_over_id) or timezone.now() >= until:
            return None
        issued, changes = replace_secret(key, overlap)
        record(key, Action.HAND_OVER_USED, actor, changes)
        return issued


def _withdraw(key: ApiKey, actor: Actor, reason: str) -> Event | None:
    if key.hand_over_id is None:
        return None
    return _end(key, Action.HAND_OVER_WITHDRAWN, actor, reason)


def _end(key: ApiKey, action: Action, actor: Actor, reason: str = "") -> Event:
    key.hand_over_id = None
    touch(key, "hand_over_id")
    return record(key, action, actor, reason=reason)
