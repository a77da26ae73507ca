"""What must hold before a program starts that goes on for long; each failure is one line."""

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import F

from apikeys.limiter import counters
from apikeys.models import Pepper, SecretVersion
from apikeys.peppers import Peppers


def check_stores() -> None:
    """See that database and counters answer, with this version's tables and these peppers.

    Raises ``ImproperlyConfigured``, or the outage of what is down.
    """
    connection.ensure_connection()
    if connection.vendor == "postgresql":
        check_encoding()
    check_migrations()
    check_writable()
    check_peppers()
    counters().ping()


def check_encoding() -> None:
    """See that PostgreSQL keeps every character there is."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_encoding")
        (encoding,) = cursor.fetchone()
    if encoding != "UTF8":
        raise ImproperlyConfigured(
            f"DATABASE_URL names a database in {encoding}, which cannot hold every request."
            " Create one with ENCODING 'UTF8' and TEMPLATE template0."
        )


def check_writable() -> None:
    """See that the database takes writes; a standby or a read-only file raises an outage."""
    Pepper.objects.update(fingerprint=F("fingerprint"))


def check_migrations() -> None:
    """See that the tables are those of this version."""
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        raise ImproperlyConfigured(
            "DATABASE_URL names a database that lacks this version's tables."
            " Run `manage.py migrate` first."
        )


def check_peppers() -> None:
    """Compare the configured peppers with those this database knows; remember new ones.

    A data folder that was lost, or one of another installation, brings peppers under which no
    stored secret verifies. That must stop the start, not every caller.
    """
    peppers: Peppers = settings.API_KEY_PEPPERS
    used = SecretVersion.objects.exclude(digest="").values_list("pepper", flat=True).distinct()
    for number in used:
        if number not in peppers:
            raise ImproperlyConfigured(
                f"API_KEY_PEPPERS lacks pepper {number}, under which stored keys are signed."
                " Put it back, from a backup of the data folder if need be."
            )
    for number in peppers:
        fingerprint = peppers.fingerprint(number)
        known, _ = Pepper.objects.get_or_create(
            number=number, defaults={"fingerprint": fingerprint}
        )
        if known.fingerprint != fingerprint:
            raise ImproperlyConfigured(
                f"API_KEY_PEPPERS gives pepper {number} another value than the stored keys were"
                " signed with. Put the old value back and give a new one the next number."
            )
