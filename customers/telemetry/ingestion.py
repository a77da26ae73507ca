"""Stores batches of telemetry events: all or none, each event at most once."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from django.db import IntegrityError, transaction

from apikeys.guard.problems import ErrorList
from apikeys.models import ApiKey
from customers.models import Customer, License, TelemetryEvent
from customers.telemetry import rollups
from database import bulk_sql
from database.fields import object_text
from database.uuid7 import new_id

MAX_TRIES = 10


COLUMNS = {
    "id": "uuid",
    "environment": "text",
    "customer_id": "uuid",
    "license_id": "uuid",
    "type": "text",
    "event_id": "text",
    "occurred_at": "timestamptz",
    "received_at": "timestamptz",
    "properties": "text",
}
NAMES = ", ".join(COLUMNS)
INSERT = f"INSERT INTO {TelemetryEvent._meta.db_table} ({NAMES}) SELECT {NAMES} FROM {{given}}"  # noqa: S608


@dataclass(slots=True)
class SentEvent:
    """An event that is not stored yet; an instance of the model costs ten times as much."""

    customer_id: UUID
    license_id: UUID | None
    type: str
    event_id: str | None
    occurred_at: datetime
    received_at: datetime
    properties: dict[str, Any]
    id: UUID = field(default_factory=new_id)
    environment: str = ""

    def row(self) -> tuple[Any, ...]:
        """Return the values of ``COLUMNS``."""
        return (
            self.id,
            self.environment,
            self.customer_id,
            self.license_id,
            self.type,
            self.event_id,
            self.occurred_at,
            self.received_at,
            object_text(self.properties),
        )


class Accepted(NamedTuple):
    """An event, and whether this request stored it."""

    event: SentEvent | TelemetryEvent
    is_new: bool


def accept(events: Sequence[SentEvent]) -> list[Accepted]:
    """Store the events that are not stored yet, in one transaction; in the order given.

    ``check_owners`` has given them their environment.
    """
    for _ in range(MAX_TRIES - 1):
        try:
            return _store(events)
        except IntegrityError:
            # Another request stored one of them between our SELECT and our INSERT.
            continue
    return _store(events)


def _store(events: Sequence[SentEvent]) -> list[Accepted]:
    with transaction.atomic():
        named = [event for event in events if event.event_id is not None]
        known: dict[tuple[UUID, str | None], SentEvent | TelemetryEvent] = {
            (event.customer_id, event.event_id): event
            for event in TelemetryEvent.objects.filter(
                customer_id__in={event.customer_id for event in named},
                event_id__in={event.event_id for event in named},
            )
        } if named else {}  # fmt: skip
        accepted, fresh = [], []
        for event in events:
            name = (event.customer_id, event.event_id)
            stored = known.get(name) if event.event_id is not None else None
            if stored is None:
                fresh.append(event)
                known[name] = event
            accepted.append(Accepted(stored or event, stored is None))
        # In one order everywhere: two batches with the same events wait for each other once.
        in_order = sorted(fresh, key=lambda event: (event.event_id or "", event.customer_id))
        bulk_sql.run(INSERT, COLUMNS, [event.row() for event in in_order])
        rollups.add(fresh)
    return accepted


def check_owners(key: ApiKey, events: Sequence[SentEvent], *, is_batch: bool) -> None:
    """Refuse customers that the key does not see, and licenses that are not the customer's."""
    customer_ids = {event.customer_id for event in events}
    customers = set(
        Customer.objects.visible_to(key).filter(pk__in=customer_ids).values_list("pk", flat=True)
    )
    licenses: dict[UUID, UUID] = {}
    if license_ids := {event.license_id for event in events if event.license_id}:
        rows = License.objects.visible_to(key).filter(pk__in=license_ids)
        licenses = dict(rows.values_list("pk", "customer_id"))
    errors = ErrorList()
    for number, event in enumerate(events):
        prefix = f"events[{number}]." if is_batch else ""
        if event.customer_id not in customers:
            errors.add(f"{prefix}customer", "There is no such customer. Check its id.")
        elif event.license_id and licenses.get(event.license_id) != event.customer_id:
            errors.add(f"{prefix}license", "The customer has no such license. Check its id.")
        event.environment = key.environment
    errors.raise_any()
