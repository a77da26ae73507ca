"""What the audit trail says of the request log: who took a copy, and who deleted from it."""

from typing import Any

from django.db import models, transaction

from audit.actors import Actor
from audit.kinds import Kind, Subject
from audit.trail import record

MAX_FILTERS_LENGTH = 500


class LogAction(models.TextChoices):
    """An audited action on the request log."""

    EXPORTED = "exported", "Exported"
    PRUNED = "pruned", "Pruned"


LOG = Kind("logs.requestlog", "Request log", LogAction, permission="logs.view_requestlog")
WHOLE_LOG = Subject(LOG.model, "", "request log")


def record_export(actor: Actor, *, form: str, filters: str) -> None:
    """Record an export before its first line is sent."""
    _record(LogAction.EXPORTED, actor, format=form, filters=filters[:MAX_FILTERS_LENGTH])


def record_pruning(actor: Actor, *, older_than: str) -> None:
    """Record a deletion before its first batch, each of which is a transaction of its own."""
    _record(LogAction.PRUNED, actor, older_than=older_than)


def _record(action: LogAction, actor: Actor, **said: Any) -> None:
    with transaction.atomic():
        record(WHOLE_LOG, action, actor, {name: [None, value] for name, value in said.items()})
