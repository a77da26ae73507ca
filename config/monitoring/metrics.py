"""What runs, whether it works, and the keys by status and expiry, for Prometheus."""

import platform
from collections.abc import Iterator
from datetime import timedelta

from django.db import connection
from django.utils import timezone

from apikeys.environments import Environment
from apikeys.models import ApiKey, Status
from config import VERSION
from config.monitoring.health import outcomes
from database.connections.postgresql import connect
from metrics.families import Family, Readings, Sample

BUILD = Family(
    "latchkey_build_info", "What runs; the number is 1.", ("version", "python", "database")
)
CHECKS = Family("latchkey_check_up", "1 if a check of /readyz succeeds.", ("check",))


def read_build() -> Iterator[Sample]:
    yield Sample(BUILD, (VERSION, platform.python_version(), connection.vendor), 1)


def read_checks() -> Iterator[Sample]:
    for check, outcome in outcomes().items():
        yield Sample(CHECKS, (check,), float(outcome == "ok"))


EXPIRY_DAYS = (7, 30)

STATUS = Family("latchkey_keys", "API keys.", ("environment", "status"))
EXPIRING = Family(
    "latchkey_keys_expiring",
    "Active API keys that expire within so many days.",
    ("environment", "days"),
)


def read_keys() -> Iterator[Sample]:
    connect(connection)
    now = timezone.now()
    for environment in Environment:
        keys = ApiKey.objects.filter(environment=environment)
        others = {
            Status.AWAITING: keys.awaiting().count(),
            Status.INACTIVE: keys.inactive().count(),
            Status.EXPIRED: keys.expired().count(),
        }
        # What is left: PostgreSQL counts all by the index, where active ones take a scan.
        active = max(0, keys.count() - sum(others.values()))
        for status, number in {Status.ACTIVE: active, **others}.items():
            yield Sample(STATUS, (environment.value, status.value), number)
        for days in EXPIRY_DAYS:
            number = keys.expiring_before(now + timedelta(days=days)).count()
            yield Sample(EXPIRING, (environment.value, str(days)), number)


METRICS = (
    Readings("build", (BUILD,), read_build),
    Readings("checks", (CHECKS,), read_checks),
    Readings("keys", (STATUS, EXPIRING), read_keys, kept_seconds=60),
)
