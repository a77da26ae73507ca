"""Validates and stores batches of telemetry events: all or none, each event at most once.

Validation is written by hand because a serializer takes ten times as long for a batch of a
thousand events. ``customers.telemetry.serializers`` declares the same rules for the schema.
"""

import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils import timezone

from apikeys.guard.problems import ErrorList
from apikeys.models import ApiKey
from customers.models import Customer, License, TelemetryEvent
from customers.telemetry import rollups
from database import timestamps
from database.fields import MAX_OBJECT_BYTES, object_bytes

MAX_EVENTS = 1000
MAX_TRIES = 10
MAX_EVENT_ID_LENGTH = 100
TYPE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,99}")
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
AHEAD = timedelta(days=1)


class Accepted(NamedTuple):
    """An event as it is stored, and whether this request stored it."""

    event: TelemetryEvent
    is_new: bool


def read(items: Sequence[Any], *, is_batch: bool) -> list[TelemetryEvent]:
    """Return the events of a request, unsaved; raise a 400 that names the fields at fault."""
    now = timezone.now()
    errors = ErrorList()
    events = []
    for number, item in enumerate(items):
        prefix = f"events[{number}]" if is_batch else ""
        event = _read(item, now, prefix, errors)
        if event is not None:
            events.append(event)
    errors.raise_any()
    return events


def accept(events: Sequence[TelemetryEvent]) -> list[Accepted]:
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


def _store(events: Sequence[TelemetryEvent]) -> list[Accepted]:
    with transaction.atomic():
        named = [event for event in events if event.event_id is not None]
        known = {
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
        TelemetryEvent.objects.bulk_create(in_order, batch_size=500)
        rollups.add(fresh)
    return accepted


def check_owners(key: ApiKey, events: Sequence[TelemetryEvent], *, is_batch: bool) -> None:
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


def _read(item: Any, now: datetime, prefix: str, errors: ErrorList) -> TelemetryEvent | None:
    if not isinstance(item, dict):
        errors.add(prefix or "body", "This must be a JSON object.")
        return None
    dot = f"{prefix}." if prefix else ""
    before = errors.count
    errors.add_unknown(item, READERS.keys(), prefix=dot)
    values: dict[str, Any] = {}
    for name, (read_value, column) in READERS.items():
        try:
            values[column] = read_value(item.get(name), now)
        except ValueError as error:
            errors.add(f"{dot}{name}", str(error))
    if errors.count > before:
        return None
    return TelemetryEvent(received_at=now, **values)


def _type(value: Any, now: datetime) -> str:
    if not isinstance(value, str) or not TYPE.fullmatch(value):
        raise ValueError("Use 1 to 100 letters, digits and . _ : / -, a letter or digit first.")
    return value


def _event_id(value: Any, now: datetime) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not 0 < len(value.strip()) <= MAX_EVENT_ID_LENGTH:
        raise ValueError(f"Use a text of 1 to {MAX_EVENT_ID_LENGTH} characters.")
    return value.strip()


def _properties(value: Any, now: datetime) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ValueError("This must be a JSON object.")
    if value and (size := object_bytes(value)) > MAX_OBJECT_BYTES:
        raise ValueError(f"This has {size} bytes as JSON. Use {MAX_OBJECT_BYTES} at most.")
    return value


def _customer(value: Any, now: datetime) -> UUID:
    if not isinstance(value, str) or len(value) != 36:
        raise ValueError("Give the id, a UUID.")
    try:
        return UUID(value)
    except ValueError:
        raise ValueError("Give the id, a UUID.") from None


def _license(value: Any, now: datetime) -> UUID | None:
    return None if value is None else _customer(value, now)


def _occurred_at(value: Any, now: datetime) -> datetime:
    if value is None:
        return now
    timestamp = timestamps.parse(value)
    if not EARLIEST <= timestamp <= now + AHEAD:
        raise ValueError("Give a time after the year 2000 and not in the future.")
    return timestamp


# Each field: what reads it or raises ``ValueError``, and its column.
READERS: dict[str, tuple[Callable[[Any, datetime], Any], str]] = {
    "customer": (_customer, "customer_id"),
    "license": (_license, "license_id"),
    "type": (_type, "type"),
    "event_id": (_event_id, "event_id"),
    "occurred_at": (_occurred_at, "occurred_at"),
    "properties": (_properties, "properties"),
}
