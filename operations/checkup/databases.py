"""What the database and Redis are, and whether their clocks agree with this host's."""

import os
import time
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone
from django.utils.module_loading import import_string

from apikeys.checks import check_database
from apikeys.limiter.store import CountersUnavailable
from audit.models import Event
from jobs.models import Worker
from operations.backups import schema
from operations.backups.databases import APPLICATION_NAME
from operations.checkup.findings import Finding, counted

MIN_POSTGRESQL = 14
MAX_SKEW_SECONDS = 2.0
# What was recorded by a clock that was ahead.
MAX_AHEAD = timedelta(seconds=60)
# A request has a second, a form eight.
MAX_IDLE_SECONDS = 10
MAX_TRANSACTION_SECONDS = 300
# Seconds for Redis to answer.
REDIS_TIMEOUT = 1.5
MEMORY_SHARE = 0.9
LONG_TRANSACTIONS = """
SELECT pid, coalesce(usename, ''), state, extract(epoch FROM clock_timestamp() - xact_start)::int
FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> %s
  AND (clock_timestamp() - xact_start > make_interval(secs => %s)
    OR (state LIKE 'idle in transaction%%'
      AND clock_timestamp() - state_change > make_interval(secs => %s)))
ORDER BY xact_start
"""


def check_server() -> Iterator[Finding]:
    """See that the database is one that this version works with."""
    connection.ensure_connection()
    database: Any = connection
    if database.vendor == "postgresql" and database.pg_version < MIN_POSTGRESQL * 10_000:
        yield Finding(
            "database-version",
            f"PostgreSQL {database.pg_version // 10_000} is not supported.",
            f"Upgrade it to {MIN_POSTGRESQL} or later.",
        )
    if _is_read_only():
        yield Finding(
            "database-read-only",
            "The database takes no writes, so nothing can be changed or recorded.",
            "Name the primary server in DATABASE_URL, or let this user write the database file.",
        )
    for error in check_database():
        yield Finding("database-setup", error.msg, error.hint or "")


def _is_read_only() -> bool:
    if connection.vendor != "postgresql":
        return not os.access(settings.DATABASES["default"]["NAME"], os.W_OK)
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('transaction_read_only') = 'on'")
        return bool(cursor.fetchone()[0])


def check_migrations() -> Iterator[Finding]:
    executor = MigrationExecutor(connection)
    lacking = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if lacking:
        yield Finding(
            "migrations",
            f"The database lacks {counted(len(lacking), 'migration')}, first {lacking[0][0]}.",
            "Run manage.py migrate.",
        )
    if newer := schema.unknown(sorted(executor.loader.applied_migrations)):
        yield Finding(
            "migrations",
            f"The database was migrated by a newer version, with {'.'.join(newer[0])}.",
            "Install that version here too.",
        )


def check_clock() -> Iterator[Finding]:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            before = time.time()
            cursor.execute("SELECT extract(epoch FROM clock_timestamp())")
            yield from _compare(float(cursor.fetchone()[0]), before, "the database's")
    newest = Event.objects.order_by("-pk").values_list("created_at", flat=True).first()
    ahead = newest - timezone.now() if newest else timedelta(0)
    if ahead > MAX_AHEAD:
        yield Finding(
            "clock",
            f"The newest audit event is {ahead.total_seconds():,.0f} s in the future.",
            "Find the host whose clock was or is ahead, and synchronize it (NTP).",
        )


def _compare(theirs: float, before: float, whose: str) -> Iterator[Finding]:
    # The answer was made between the question and its arrival.
    middle, doubt = (before + time.time()) / 2, (time.time() - before) / 2
    skew = theirs - middle
    if abs(skew) > MAX_SKEW_SECONDS + doubt:
        side = "behind" if skew > 0 else "ahead of"
        yield Finding(
            "clock",
            f"This host's clock is {abs(skew):,.1f} s {side} {whose}.",
            "Synchronize both (NTP).",
        )


def check_transactions() -> Iterator[Finding]:
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute(
            LONG_TRANSACTIONS, (APPLICATION_NAME, MAX_TRANSACTION_SECONDS, MAX_IDLE_SECONDS)
        )
        for pid, user, state, seconds in cursor.fetchall():
            yield Finding(
                "long-transaction",
                f"A transaction of {user} is open for {seconds:,} s ({state}, process {pid}): it"
                " holds locks, and keeps dead rows.",
                f"End it at its client, or with SELECT pg_terminate_backend({pid}).",
            )


def check_redis() -> Iterator[Finding]:
    """Ask what is not the limiter's to know; raise ``redis_error`` if nobody answers."""
    commands = import_string("database.redis.clients.commands")(settings.REDIS_URL)
    primaries = commands.primaries()
    for server in primaries:
        name = "Redis" if len(primaries) == 1 else f"Redis at {server.host}:{server.port}"
        # Asked once: whoever waits for a check-up asks again.
        with server.client(REDIS_TIMEOUT) as client:
            before = time.time()
            seconds, microseconds = client.time()
            yield from _compare(seconds + microseconds / 1_000_000, before, f"that of {name}")
            yield from _memory(name, client.info("memory"))


def redis_error() -> type[Exception]:
    """Return what the client raises; it is loaded where Redis is used alone."""
    if not settings.REDIS_URL:
        return CountersUnavailable
    error: type[Exception] = import_string("redis.exceptions.RedisError")
    return error


def _memory(name: str, facts: dict[str, Any]) -> Iterator[Finding]:
    policy, limit = facts.get("maxmemory_policy", "noeviction"), int(facts.get("maxmemory", 0))
    if policy != "noeviction":
        yield Finding(
            "redis-eviction",
            f"{name} evicts by {policy}: without its counter a key gets its whole limit again.",
            "Set maxmemory-policy noeviction in redis.conf.",
        )
    if limit and facts["used_memory"] > MEMORY_SHARE * limit:
        yield Finding(
            "redis-memory",
            f"{name} uses {facts['used_memory']:,} of {limit:,} bytes, and requests are refused"
            " when it is full.",
            "Raise maxmemory.",
        )


def check_shared_counters() -> Iterator[Finding]:
    hosts = sorted(set(Worker.objects.alive().values_list("host", flat=True)))
    if len(hosts) > 1 and not settings.REDIS_URL:
        yield Finding(
            "redis-missing",
            f"Workers run on {len(hosts)} hosts ({', '.join(hosts[:3])}), and each host counts"
            " limits by itself.",
            "Set REDIS_URL on all of them.",
        )
