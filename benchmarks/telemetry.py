"""Telemetry: how fast batches are taken in, and how fast it is read back among many events."""

import os
import statistics
import time
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from config.wsgi import application  # noqa: F401 - sets Django up

# isort: split
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from apikeys import lifecycle
from apikeys.environments import Environment
from apikeys.guard.serializers import validated
from apikeys.lifecycle import IssuedKey
from apikeys.limits import LIMIT_FIELDS, MAX_LIMIT, LimitFields
from apikeys.models import ApiKey
from apikeys.permissions import Permission
from audit.actors import Actor, Source
from benchmarks.pages import print_medians
from customers.licenses import lifecycle as license_lifecycle
from customers.models import Customer, License, TelemetryEvent
from customers.telemetry import ingestion, rollups
from customers.telemetry.serializers import MAX_EVENTS, TelemetryInput

EVENTS = int(os.environ.get("BENCH_EVENTS", "1000000"))
BATCHES = int(os.environ.get("BENCH_BATCHES", "20"))
CUSTOMERS = 50
TYPES = 12
DAYS = int(os.environ.get("BENCH_DAYS", "30"))
CHUNK = 5000
ACTOR = Actor(Source.SYSTEM, "benchmark")


def measure_batches(key: ApiKey) -> None:
    """Print events per second, in batches of a thousand, from parsed JSON to the commit."""
    customers = [Customer.objects.create(environment="production", name=str(n)) for n in range(5)]
    took = []
    for batch in range(BATCHES):
        events: list[Any] = [
            {
                "customer": str(customers[number % 5].pk),
                "type": f"app.event{number % 7}",
                "event_id": f"{batch}-{number}",
                "occurred_at": "2026-11-01T10:00:00Z",
                "properties": {"version": "1.2.3", "seconds": number},
            }
            for number in range(MAX_EVENTS)
        ]
        began = time.perf_counter()
        read = validated(TelemetryInput, {"events": events})["events"]
        ingestion.check_owners(key, read, is_batch=True)
        ingestion.accept(read)
        took.append(time.perf_counter() - began)
    print(f"batches      {MAX_EVENTS / statistics.median(took):7.0f} events/s")


def fill(licenses: list[License]) -> None:
    """Make the events, spread over a month; ids in the order of time, as they are made."""
    step = DAYS * 86_400_000 // EVENTS
    began = int(time.time() * 1000) - EVENTS * step
    for first in range(0, EVENTS, CHUNK):
        events = [
            TelemetryEvent(
                id=UUID(int=((began + n * step) << 80) | (7 << 76) | (2 << 62) | n),
                environment="production",
                customer_id=licenses[n * 7919 % CUSTOMERS].customer_id,
                license=licenses[n * 7919 % CUSTOMERS] if n % 3 else None,
                type=f"app.event{n * 31 % TYPES}",
                event_id=f"e{n}",
                occurred_at=(at := datetime.fromtimestamp((began + n * step) / 1000, UTC)),
                received_at=at,
                properties={"version": "1.2.3", "seconds": n % 60},
            )
            for n in range(first, min(first + CHUNK, EVENTS))
        ]
        TelemetryEvent.objects.bulk_create(events)
        rollups.add(events)
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("VACUUM ANALYZE")


def measure_pages(issued: IssuedKey) -> None:
    """Print what reading takes, in the admin and through the API."""
    customers = Customer.objects.bulk_create(
        Customer(environment="production", name=f"Customer {n}") for n in range(CUSTOMERS)
    )
    licenses = [license_lifecycle.issue(one, actor=ACTOR, product="Pro") for one in customers]
    began = time.perf_counter()
    fill(licenses)
    print(f"{EVENTS:,} events in {time.perf_counter() - began:.0f} s")
    user = User.objects.create(username="bench", is_staff=True, is_superuser=True)
    staff = Client(SERVER_NAME="localhost")
    staff.force_login(user)
    customer, license_ = customers[3], licenses[3]
    deep = TelemetryEvent.objects.order_by("-pk")[EVENTS // 2]
    base = "/admin/customers/telemetryevent/"
    print_medians(
        staff,
        {
            "list with its chart": base,
            "list, page in the middle": f"{base}?p=before-{deep.pk}",
            "environment": f"{base}?environment__exact=production",
            "environment without any": f"{base}?environment__exact=staging",
            "customer": f"{base}?customer__id__exact={customer.pk}",
            "search by type": f"{base}?q=app.event3",
            "search by event id": f"{base}?q={deep.event_id}",
            "search for nothing": f"{base}?q=nothing",
            "one event": f"{base}{deep.pk}/change/",
            "customer's page": f"/admin/customers/customer/{customer.pk}/change/",
            "customers": "/admin/customers/customer/",
            "licenses": "/admin/customers/license/",
            "license's page": f"/admin/customers/license/{license_.pk}/change/",
        },
    )
    caller = Client(
        SERVER_NAME="localhost", headers={"Authorization": f"Bearer {issued.credential}"}
    )
    base = "/api/production/v1/telemetry"
    month = (timezone.now() - timedelta(days=DAYS)).strftime("%Y-%m-%dT%H:%M:%SZ")
    fortnight = (timezone.now() - timedelta(days=DAYS // 2)).strftime("%Y-%m-%dT%H:%M:%SZ")
    print_medians(
        caller,
        {
            "API list": f"{base}?limit=200",
            "API by customer": f"{base}?customer={customer.pk}",
            "API by license": f"{base}?license={license_.pk}",
            "API by type": f"{base}?type=app.event3",
            "API by type nobody sent": f"{base}?type=none",
            "API by customer and type": f"{base}?customer={customer.pk}&type=app.event3",
            "API by event id": f"{base}?event_id={deep.event_id}",
            "API before a time": f"{base}?occurred_before={fortnight}",
            "API one event": f"{base}/{deep.pk}",
            "API summary, 24 h": f"{base}/summary",
            "API summary, 30 d": f"{base}/summary?occurred_after={month}",
            "API summary, a customer": (
                f"{base}/summary?occurred_after={month}&customer={customer.pk}"
            ),
        },
    )


def main() -> None:
    """Measure both."""
    call_command("migrate", verbosity=0)
    issued = lifecycle.create(
        environment=Environment.PRODUCTION,
        actor=ACTOR,
        name="Bench",
        permissions=list(Permission),
        **cast(LimitFields, dict.fromkeys(LIMIT_FIELDS, MAX_LIMIT)),
    )
    measure_batches(issued.key)
    if EVENTS:
        measure_pages(issued)


if __name__ == "__main__":
    main()
