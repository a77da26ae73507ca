"""Makes what a test starts from; whatever a test depends on it names."""

import itertools
from collections.abc import Iterable
from datetime import timedelta
from time import time_ns
from typing import Any

import orjson
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.utils import timezone

from apikeys import lifecycle
from apikeys.environments import Environment
from apikeys.lifecycle import IssuedKey
from apikeys.models import ApiKey
from audit.actors import Actor, Source
from customers.licenses import license_keys
from customers.models import Activation, Customer, License, TelemetryEvent
from customers.telemetry import rollups
from database.uuid7 import made_at, new_id
from jobs.models import Job
from logs.capture.record import Record
from logs.models import RequestContent, RequestLog
from logs.models.requests import SLOW_MICROSECONDS
from tests.support import log_rows

ACTOR = Actor(source=Source.COMMAND, name="a test")
PASSWORD = "correct horse battery staple"
_numbers = itertools.count(1)


def issue(
    *,
    environment: Environment = Environment.PRODUCTION,
    permissions: Iterable[str] = (),
    **settings: Any,
) -> IssuedKey:
    """Make a key; return it with its credential."""
    settings.setdefault("name", f"Key {next(_numbers)}")
    return lifecycle.create(
        environment=environment, actor=ACTOR, permissions=permissions, **settings
    )


def make_customer(
    *, environment: Environment = Environment.PRODUCTION, name: str = "", **fields: Any
) -> Customer:
    """Make a customer."""
    return Customer.objects.create(
        environment=environment, name=name or f"Customer {next(_numbers)}", **fields
    )


def make_license(customer: Customer | None = None, **fields: Any) -> License:
    """Make a license, of a new customer unless one is given."""
    customer = customer or make_customer()
    fields.setdefault("product", "Product")
    return License.objects.create(
        environment=customer.environment,
        customer=customer,
        license_key=license_keys.new(),
        **fields,
    )


def make_activation(customer: Customer | None = None, **fields: Any) -> Activation:
    """Make a license of two seats, with a machine on one."""
    fields.setdefault("seats", 2)
    license_ = make_license(customer, **fields)
    return Activation.objects.create(
        license=license_, environment=license_.environment, fingerprint=f"machine {next(_numbers)}"
    )


def make_event(customer: Customer | None = None, **fields: Any) -> TelemetryEvent:
    """Make a telemetry event."""
    customer = customer or make_customer()
    fields.setdefault("type", "app.started")
    fields.setdefault("occurred_at", timezone.now())
    event = TelemetryEvent.objects.create(
        environment=customer.environment, customer=customer, **fields
    )
    rollups.add([event])
    return event


def make_job(key: ApiKey | None, **fields: Any) -> Job:
    """Make a job as it stands, without a runner; without a key it is a task's."""
    fields.setdefault("type", "customers.export")
    if key is None:
        return Job.objects.create(environment=Environment.PRODUCTION, **fields)
    about = list(key.scope.values_list("customer_id", flat=True))
    fields.setdefault("customer_count", len(about) if key.is_scoped else None)
    job = Job.objects.create(environment=key.environment, key=key, **fields)
    job.customers.add(*about, through_defaults={"environment": key.environment})
    return job


def make_request(
    *,
    key: ApiKey | None = None,
    customer: Customer | None = None,
    content: dict[str, Any] | None = None,
    **fields: Any,
) -> RequestLog:
    """Make a recorded request, as it stands once it was shipped."""
    identifier = fields.pop("id", None) or new_id()
    status = fields.pop("status", 200)
    log = RequestLog(
        id=identifier,
        at=made_at(identifier),
        environment=fields.pop("environment", key.environment if key else Environment.PRODUCTION),
        key=key,
        secret_version=1 if key else None,
        customer=customer,
        status=status,
        is_slow=fields.get("duration", 0) >= SLOW_MICROSECONDS,
        status_class=status // 100,
        **{
            "method": "GET",
            "path": "/api/production/v1/key",
            "route": "key",
            "duration": 1500,
            "request_bytes": 0,
            "response_bytes": 2,
            "address": "198.51.100.7",
            **fields,
        },
    )
    kept = {"request_headers": "{}", "response_headers": "{}", "response_body": "{}"}
    log_rows.save(log, RequestContent(request=log, **kept | (content or {})))
    return log


def make_decision(service: str | None = "orders", **fields: Any) -> RequestLog:
    """Make a recorded decision for a service that is guarded from outside."""
    asked = {"path": "/v1/orders/5", "route": "/v1/orders/**", "host": "orders.example"}
    return make_request(kind="decision", service=service, **asked | fields)


def record(**changes: Any) -> Record:
    """Return the record of a request that nobody sent."""
    return Record(
        str(new_id()), time_ns() // 1000, "production", None, None, None, None, None, "GET",
        "/api/production/v1/recorded", "", "", 404, "not_found", 1500, 0, 2, "198.51.100.7", "",
        {}, {}, "", "", 0,
    )._replace(**changes)  # fmt: skip


def record_line(**changes: Any) -> bytes:
    """Return such a record as the spool holds it."""
    return orjson.dumps(tuple(record(**changes)))


def make_staff(role: str | None = None, *, is_superuser: bool = False) -> User:
    """Make a member of staff who may log in with ``PASSWORD``."""
    user = User.objects.create_user(f"staff{next(_numbers)}", password=PASSWORD, is_staff=True)
    user.is_superuser = is_superuser
    user.save()
    if role:
        user.groups.add(Group.objects.get(name=role))
    return user


def client_of(person: User | str | None) -> Client:
    """Log in a person, or somebody with a role or with none; return the browser."""
    client = Client()
    client.force_login(person if isinstance(person, User) else make_staff(person))
    return client


def permissions(*codenames: str) -> list[Permission]:
    """Return what staff may be given."""
    return list(Permission.objects.filter(codename__in=codenames))


def expire(key: ApiKey, *, ago: timedelta = timedelta(0)) -> None:
    """Move a key's expiry to now or before, which no door allows."""
    ApiKey.objects.filter(pk=key.pk).update(expires_at=timezone.now() - ago)
