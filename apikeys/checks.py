"""System checks of the database and the peppers; ``serve``, ``worker`` and ``bootstrap`` run them.

They are deployment checks, or ``migrate`` would require its own outcome.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.conf import settings
from django.core.checks import Error, register
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import F

from apikeys.limiter import counters
from apikeys.models import Pepper, SecretVersion
from apikeys.peppers import Peppers

TAG = "latchkey"


@register(TAG, deploy=True)
def check_stores(databases: Any = None, **_: Any) -> list[Error]:
    """Return the first error of database and peppers; raise the outage of what is down."""
    if not databases:
        return []
    connection.ensure_connection()
    for check in (check_database, check_migrations, check_writable, check_peppers):
        if errors := list(check()):
            return errors
    counters().ping()
    return []


def check_database() -> Iterator[Error]:
    """See that PostgreSQL keeps every character there is, and SQLite reads while it writes."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SHOW server_encoding")
            (encoding,) = cursor.fetchone()
            if encoding != "UTF8":
                yield Error(
                    f"DATABASE_URL names a database in {encoding}, which cannot hold"
                    " every request.",
                    "Create one with ENCODING 'UTF8' and TEMPLATE template0.",
                    id="apikeys.E001",
                )
            return
        mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
        busy = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
    if mode != "wal" or not busy:
        yield Error(
            "DATABASE_URL names an SQLite file on a file system without shared memory.",
            "Move the data folder to a local disk.",
            id="apikeys.E002",
        )


def check_migrations() -> Iterator[Error]:
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        yield Error(
            "DATABASE_URL names a database that lacks this version's tables.",
            "Run `manage.py migrate` first.",
            id="apikeys.E003",
        )


def check_writable() -> Iterator[Error]:
    """See that the database takes writes; a standby or a read-only file raises an outage."""
    Pepper.objects.update(fingerprint=F("fingerprint"))
    yield from ()


def check_peppers() -> Iterator[Error]:
    """Compare the configured peppers with those this database knows; remember new ones.

    A data folder that was lost, or one of another installation, brings peppers under which no
    stored secret verifies. That must stop the start, not every caller.
    """
    peppers: Peppers = settings.API_KEY_PEPPERS
    known = known_peppers()
    if error := next(wrong_peppers(peppers, used_peppers(), known), None):
        yield error
        return
    for number in set(peppers) - set(known):
        Pepper.objects.get_or_create(
            number=number, defaults={"fingerprint": peppers.fingerprint(number)}
        )


def used_peppers() -> set[int]:
    """Return the numbers under which stored secrets are signed."""
    signed = SecretVersion.objects.exclude(digest="")
    return set(signed.values_list("pepper", flat=True).distinct())


def known_peppers() -> dict[int, str]:
    """Return the fingerprints that the database has, by number."""
    return dict(Pepper.objects.values_list("number", "fingerprint"))


def wrong_peppers(
    peppers: Peppers, used: Iterable[int], known: Mapping[int, str]
) -> Iterator[Error]:
    """Say which peppers are missing, or are others than those of the ``known`` fingerprints."""
    for number in sorted(set(used) - set(peppers)):
        yield Error(
            f"API_KEY_PEPPERS lacks pepper {number}, under which stored keys are signed.",
            "Put it back, from a backup of the data folder if need be.",
            id="apikeys.E004",
        )
    for number in sorted(set(peppers) & set(known)):
        if known[number] != peppers.fingerprint(number):
            yield Error(
                f"API_KEY_PEPPERS gives pepper {number} another value than the stored keys were"
                " signed with.",
                "Put the old value back and give a new one the next number.",
                id="apikeys.E005",
            )
