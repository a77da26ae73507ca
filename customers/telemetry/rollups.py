"""Hourly event totals, because counting a month of a million events takes seconds.

Every event counts for its environment, its customer and its license, in the transaction that
stores or deletes it; last in it, so that two batches block each other only briefly.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Protocol
from uuid import UUID

from customers.models import TelemetryTotal
from customers.models.telemetry import ALL_CUSTOMERS
from database import bulk_sql

COLUMNS = {
    "environment": "text",
    "subject": "uuid",
    "hour": "timestamptz",
    "type": "text",
    "number": "bigint",
}


class Counted(Protocol):
    """What is counted of an event, stored or not; the time is in UTC."""

    environment: str
    customer_id: UUID
    license_id: UUID | None
    occurred_at: datetime
    type: str


def add(events: Iterable[Counted]) -> None:
    _change(events, 1)


def subtract(events: Iterable[Counted]) -> None:
    rows = _change(events, -1)
    table = TelemetryTotal._meta.db_table
    bulk_sql.run(
        f"DELETE FROM {table} WHERE number = 0 AND (environment, subject, hour, type)"  # noqa: S608
        " IN (SELECT environment, subject, hour, type FROM {given})",
        COLUMNS,
        rows,
    )


def _change(events: Iterable[Counted], by: int) -> list[tuple[str, UUID, datetime, str, int]]:
    # Many events are alike, so they are counted first.
    alike = Counter(
        (
            event.environment,
            event.customer_id,
            event.license_id,
            event.occurred_at.replace(minute=0, second=0, microsecond=0),
            event.type,
        )
        for event in events
    )
    numbers: Counter[tuple[str, UUID, datetime, str]] = Counter()
    for (environment, customer, license_, hour, kind), number in alike.items():
        for subject in (ALL_CUSTOMERS, customer, license_):
            if subject is not None:
                numbers[environment, subject, hour, kind] += number * by
    rows = [(*total, number) for total, number in sorted(numbers.items())]
    table = TelemetryTotal._meta.db_table
    bulk_sql.run(
        f"INSERT INTO {table} (environment, subject, hour, type, number)"  # noqa: S608
        " SELECT environment, subject, hour, type, number FROM {given} WHERE true"
        " ON CONFLICT (environment, subject, hour, type)"
        f" DO UPDATE SET number = {table}.number + excluded.number",
        COLUMNS,
        rows,
    )
    return rows
