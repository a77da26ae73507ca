"""Hourly event totals, because counting a month of a million events takes seconds.

Every event counts for its environment, its customer and its license, in the transaction that
stores or deletes it; last in it, so that two batches block each other only briefly.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime

from django.db import connection

from customers.models import TelemetryEvent, TelemetryTotal
from customers.models.telemetry import ALL_CUSTOMERS
from database import bulk_sql

COLUMNS = {
    "environment": "text",
    "subject": "uuid",
    "hour": "timestamptz",
    "type": "text",
    "number": "bigint",
}


def add(events: Iterable[TelemetryEvent]) -> None:
    _change(events, 1)


def subtract(events: Iterable[TelemetryEvent]) -> None:
    rows = _change(events, -1)
    table = TelemetryTotal._meta.db_table
    bulk_sql.run(
        f"DELETE FROM {table} WHERE number = 0 AND (environment, subject, hour, type)"  # noqa: S608
        " IN (SELECT environment, subject, hour, type FROM {given})",
        COLUMNS,
        rows,
    )


def _change(events: Iterable[TelemetryEvent], by: int) -> list[tuple[str, str, str, str, int]]:
    numbers: Counter[tuple[str, str, str, str]] = Counter()
    for event in events:
        hour = _hour(event.occurred_at)
        for subject in (ALL_CUSTOMERS, event.customer_id, event.license_id):
            if subject is not None:
                numbers[event.environment, subject.hex, hour, event.type] += by
    rows = [(*key, number) for key, number in sorted(numbers.items())]
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


def _hour(timestamp: datetime) -> str:
    zone = "+00" if connection.vendor == "postgresql" else ""
    return f"{timestamp:%Y-%m-%d %H}:00:00{zone}"
