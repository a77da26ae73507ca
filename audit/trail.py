"""Writes audit events: who did what to which object, when, from where, and what changed."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Model
from django.db.transaction import TransactionManagementError
from django.utils import timezone

from audit.actors import Actor
from audit.chain import seal
from audit.kinds import Subject, subject_of
from audit.models import MAX_LABEL_LENGTH, Event, Seal
from database.connections import before_commit
from database.uuid7 import id_at, new_id


def record(
    of: Model | Subject,
    action: str,
    actor: Actor,
    changes: Mapping[str, Any] | None = None,
    reason: str = "",
) -> Event:
    """Write the event of an action, inside the action's transaction.

    ``changes`` maps a field to its readable values before and after, never a secret or a digest.
    """
    if not connection.in_atomic_block:
        raise TransactionManagementError("An action and its event belong in one transaction.")
    subject = of if isinstance(of, Subject) else subject_of(of)
    event = Event.objects.create(
        id=id_at(actor.at) if actor.at else new_id(),
        created_at=actor.at or timezone.now(),
        action=action,
        object_type=subject.type,
        object_id=subject.id,
        object_label=subject.label[:MAX_LABEL_LENGTH],
        environment=subject.environment,
        reason=reason,
        changes=dict(changes or {}),
        **actor.columns(),
    )
    before_commit.add(seal, event.pk)
    return event


def forget_contents(row: Model) -> None:
    """Delete what the events of a row say of it; actions and actors stay."""
    events = Event.objects.about(row)
    events.update(object_label="", reason="", changes={})
    # Or what is gone could be guessed, and the guess be checked with the digest.
    Seal.objects.filter(event_id__in=events.values("pk")).update(salt="")


def set_fields(row: Model, values: Mapping[str, Any]) -> dict[str, Any]:
    """Set the fields of ``row`` that differ; return their values before and after."""
    changes = {}
    for name, value in values.items():
        before = getattr(row, name)
        if _differs(before, value):
            changes[name] = [_plain(before), _plain(value)]
            setattr(row, name, value)
    return changes


def _differs(before: Any, after: Any) -> bool:
    """Whether two values of a field differ; in JSON ``1``, ``1.0`` and ``true`` do."""
    if isinstance(after, dict):
        return json.dumps(before, sort_keys=True) != json.dumps(after, sort_keys=True)
    return bool(before != after)


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
