"""The audit trail as a file: CSV for spreadsheets, NDJSON for programs; streamed, newest first."""

import json
from collections.abc import Iterator
from itertools import chain
from typing import Any

from django.db import models, transaction

from audit.actors import Actor
from audit.kinds import Kind, Subject
from audit.models import Event
from audit.trail import record
from backoffice import csv_lines


class TrailAction(models.TextChoices):
    """An audited action on the trail itself."""

    EXPORTED = "exported", "Exported"


TRAIL = Kind("audit.event", "Audit trail", TrailAction)
WHOLE_TRAIL = Subject(TRAIL.model, "", "audit trail")
FORMATS = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}
COLUMNS = (
    "at", "id", "kind", "object", "label", "environment", "action", "by", "source", "address",
    "reason", "changes",
)  # fmt: skip
CHUNK = 500
MAX_FILTERS_LENGTH = 500


def record_export(actor: Actor, form: str, filters: str) -> Event:
    """Put on record who takes the trail away, and what of it."""
    taken = {"format": [None, form], "filters": [None, filters[:MAX_FILTERS_LENGTH]]}
    with transaction.atomic():
        return record(WHOLE_TRAIL, TrailAction.EXPORTED, actor, taken)


def as_json(event: Event) -> dict[str, Any]:
    """Return an event as it is exported."""
    # The time first and always as long: lines can be compared as text.
    at = event.created_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    values = (
        at, str(event.pk), event.object_type, event.object_id, event.object_label,
        event.environment, event.action, event.actor_name, event.source, event.address,
        event.reason, event.changes,
    )  # fmt: skip
    return dict(zip(COLUMNS, values, strict=True))


def lines(rows: "models.QuerySet[Event]", form: str) -> Iterator[str]:
    """Yield the file's lines; ``form`` is one of ``FORMATS``."""
    chunks = _chunks(rows)
    # Read before the header is written: a database that is down leaves no partial file.
    first = next(chunks, [])
    if form == "csv":
        yield csv_lines.line(COLUMNS)
    write = _csv_line if form == "csv" else _json_line
    for events in chain([first], chunks):
        yield "".join(map(write, events))


def _chunks(rows: "models.QuerySet[Event]") -> Iterator[list[Event]]:
    """Yield all rows by ranges of ids: each query is short, and no cursor stays open."""
    rows, last = rows.order_by("-pk"), None
    while events := list((rows.filter(pk__lt=last) if last else rows)[:CHUNK]):
        yield events
        last = events[-1].pk


def _json_line(event: Event) -> str:
    return json.dumps(as_json(event)) + "\n"


def _csv_line(event: Event) -> str:
    values = as_json(event)
    values["changes"] = json.dumps(event.changes, ensure_ascii=False) if event.changes else ""
    return csv_lines.line("" if value is None else str(value) for value in values.values())
