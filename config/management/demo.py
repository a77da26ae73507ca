"""Demo data that looks like a platform in use: customers, keys of every status, history."""

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from django.utils import timezone

from apikeys import lifecycle
from apikeys.environments import Environment
from apikeys.limits import LIMIT_FIELDS, LimitFields, Limits
from apikeys.models import ApiKey, SecretVersion
from apikeys.permissions import Permission
from audit.actors import Actor, Source
from customers.licenses import lifecycle as license_lifecycle
from customers.models import Customer, CustomerStatus, TelemetryEvent
from customers.telemetry import rollups
from jobs import queue
from jobs.registry import job_types

SETUP = Actor(source=Source.SYSTEM, name="demo data")

CUSTOMERS = {
    Environment.PRODUCTION: [
        ("Northwind Traders", "ops@northwind.example", "CRM-1001"),
        ("Contoso Pharmaceuticals", "it@contoso.example", "CRM-1002"),
        ("Fabrikam Robotics", "platform@fabrikam.example", "CRM-1003"),
        ("Tailspin Toys", "hello@tailspin.example", "CRM-1004"),
        ("Wide World Importers", "api@wideworld.example", "CRM-1005"),
        ("Adventure Works Cycles", "dev@adventure.example", "CRM-1006"),
    ],
    Environment.STAGING: [
        ("Northwind Traders (staging)", "qa@northwind.example", "STG-1"),
        ("Fabrikam Robotics (staging)", "qa@fabrikam.example", "STG-2"),
    ],
    Environment.DEVELOPMENT: [
        ("Acme Test Customer", "dev@acme.example", "DEV-1"),
        ("Load Test Customer", "load@acme.example", "DEV-2"),
    ],
}


class DemoKey(NamedTuple):
    """A key and what became of it; ages in days."""

    name: str
    environment: Environment
    permissions: tuple[Permission, ...]
    age: float
    used: float | None = None
    expires: float | None = None
    revoked: str = ""
    limits: Limits = ()
    networks: tuple[str, ...] = ()
    customers: tuple[str, ...] = ()
    regenerated: float | None = None
    owner: str = ""
    tags: tuple[str, ...] = ()


P = Permission
KEYS = [
    DemoKey("Main Website Integration", Environment.PRODUCTION,
            (P.CUSTOMERS_READ, P.LICENSES_READ, P.LICENSES_MANAGE, P.TELEMETRY_WRITE),
            age=210, used=0.001, limits=(1200, 40_000, 400_000), regenerated=34,
            owner="web@acme.example", tags=("website",)),
    DemoKey("Billing Sync", Environment.PRODUCTION, (P.CUSTOMERS_READ, P.CUSTOMERS_WRITE),
            age=160, used=0.02, expires=19, networks=("203.0.113.0/24", "2001:db8:10::/48"),
            owner="billing@acme.example", tags=("billing", "nightly")),
    DemoKey("Telemetry Collector", Environment.PRODUCTION, (P.TELEMETRY_WRITE,),
            age=340, used=0.0005, limits=(6000, 200_000, 2_000_000)),
    DemoKey("Fabrikam Partner Portal", Environment.PRODUCTION,
            (P.CUSTOMERS_READ, P.LICENSES_READ), age=75, used=3, expires=290,
            customers=("Fabrikam Robotics",)),
    DemoKey("Nightly Reports", Environment.PRODUCTION,
            (P.TELEMETRY_READ, P.JOBS_READ, P.JOBS_RUN, P.LOGS_READ), age=400, used=131),
    DemoKey("Contractor Laptop", Environment.PRODUCTION, (P.CUSTOMERS_READ,), age=58, used=41,
            revoked="Laptop reported stolen"),
    DemoKey("Spring Campaign 2026", Environment.PRODUCTION, (P.CUSTOMERS_READ,), age=250,
            used=95, expires=-92),
    DemoKey("Website Staging", Environment.STAGING,
            (P.CUSTOMERS_READ, P.LICENSES_READ, P.TELEMETRY_WRITE), age=120, used=0.4,
            owner="web@acme.example", tags=("website",)),
    DemoKey("Contract Tests", Environment.STAGING, tuple(P), age=96, used=0.1, expires=6),
    DemoKey("Old Mobile App", Environment.STAGING, (P.LICENSES_READ,), age=500, used=260,
            revoked="Replaced by version 3"),
    DemoKey("Onboarding Sandbox", Environment.DEVELOPMENT, (P.CUSTOMERS_READ, P.CUSTOMERS_WRITE),
            age=30, used=1.2),
    DemoKey("Hackathon", Environment.DEVELOPMENT, tuple(P), age=12),
]  # fmt: skip

JOBS = {
    "Nightly Reports": "telemetry.export",
    "Contract Tests": "customers.export",
    "Hackathon": "telemetry.export",
}


def load() -> bool:
    """Load the data into an empty installation; return whether it was."""
    if ApiKey.objects.exists() or Customer.objects.exists():
        return False
    now = timezone.now()
    _load_customers(now)
    for demo in KEYS:
        _load_key(demo, now)
    for customer in Customer.objects.order_by("created_at"):
        _load_licenses(customer, now)
    for name, kind in JOBS.items():
        # Done by the worker as soon as there is one.
        queue.submit(ApiKey.objects.get(name=name), job_types()[kind], {})
    return True


def _load_customers(now: datetime) -> None:
    for environment, customers in CUSTOMERS.items():
        # The oldest first, as their ids go.
        for age, (name, email, reference) in zip(
            range(len(customers), 0, -1), customers, strict=True
        ):
            Customer.objects.create(
                environment=environment,
                name=name,
                email=email,
                external_reference=reference,
                status=CustomerStatus.ACTIVE,
                metadata={"plan": "standard" if age % 2 else "enterprise"},
                created_at=now - timedelta(days=age * 37),
            )


def _load_licenses(customer: Customer, now: datetime) -> None:
    """Give a customer two licenses with a life behind them, and a day of telemetry."""
    number = customer.created_at.day
    main = license_lifecycle.issue(
        customer, actor=SETUP, product="Platform Pro", seats=5 + number,
        expires_at=now + timedelta(days=30 * (number % 12)) - timedelta(days=20),
    )  # fmt: skip
    extra = license_lifecycle.issue(customer, actor=SETUP, product="Reporting Add-on")
    if number % 3 == 0:
        license_lifecycle.move(extra, "suspend", actor=SETUP)
    if not main.is_expired(now):
        for machine in range(1 + number % 4):
            license_lifecycle.activate(main, actor=SETUP, fingerprint=f"build-server-{machine + 1}")
    types = ("app.started", "app.stopped", "report.made", "error.raised")
    events = [
        TelemetryEvent(
            environment=customer.environment, customer=customer, license=main,
            type=types[(hour + number) % 4],
            occurred_at=now - timedelta(hours=hour, minutes=number),
            properties={"version": f"2.{number % 5}", "seconds": hour * 7 % 60},
        )
        for hour in range(23) for _ in range(1 + (hour + number) % 3)
    ]  # fmt: skip
    TelemetryEvent.objects.bulk_create(events)
    rollups.add(events)


def _load_key(demo: DemoKey, now: datetime) -> None:
    scope = Customer.objects.filter(environment=demo.environment, name__in=demo.customers)
    key = lifecycle.create(
        environment=demo.environment,
        actor=_setup(days=demo.age, now=now),
        name=demo.name,
        permissions=demo.permissions,
        customers=[customer.pk for customer in scope] if demo.customers else None,
        **cast(LimitFields, dict(zip(LIMIT_FIELDS, demo.limits, strict=False))),
        networks=demo.networks,
        owner=demo.owner,
        tags=demo.tags,
    ).key
    _backdate(key, now - timedelta(days=demo.age))
    if demo.regenerated is not None:
        lifecycle.regenerate(key, actor=_setup(days=demo.regenerated, now=now))
        _backdate(key, now - timedelta(days=demo.regenerated))
    if demo.revoked:
        actor = _setup(days=(demo.used or 1) / 2, now=now)
        lifecycle.revoke(key, actor=actor, reason=demo.revoked)
    changes: dict[str, Any] = {"created_at": now - timedelta(days=demo.age)}
    if demo.expires is not None:
        changes["expires_at"] = now + timedelta(days=demo.expires)
    if demo.used is not None:
        changes["last_used_at"] = now - timedelta(days=demo.used)
        changes["last_used_address"] = "203.0.113.17"
    ApiKey.objects.filter(pk=key.pk).update(**changes)


def _setup(*, days: float, now: datetime) -> Actor:
    """Return the actor of what happened so many days ago."""
    return replace(SETUP, at=now - timedelta(days=days))


def _backdate(key: ApiKey, timestamp: datetime) -> None:
    """Move the newest secret to ``timestamp``."""
    secrets = SecretVersion.objects.filter(key=key)
    secrets.filter(retires_at=None).update(created_at=timestamp)
    secrets.filter(retires_at__gt=timestamp).update(retires_at=timestamp)
