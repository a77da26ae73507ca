"""Asks everything in order, and stops asking a dependency that is down.

Ten seconds are enough for all of it: each dependency has a deadline of its own.
"""

from collections.abc import Iterator, Sequence

from django.conf import settings
from django.db import DatabaseError

from apikeys.limiter import counters
from apikeys.limiter.store import CountersUnavailable
from database import deadline
from database.outages import is_outage
from operations.checkup import configuration, contents, databases, disk, request_log
from operations.checkup.findings import Check, Finding

DATABASE_SECONDS = 6.0
HERE: Sequence[Check] = (
    configuration.check_settings,
    configuration.check_names,
    configuration.check_proxies,
    configuration.check_mail,
    configuration.check_packages,
    configuration.check_secret_files,
    configuration.check_database_file,
    disk.check_spool,
    disk.check_disk,
)
IN_ANY_DATABASE: Sequence[Check] = (databases.check_server, databases.check_transactions)
# These read tables as this version has them.
IN_THE_TABLES: Sequence[Check] = (
    databases.check_clock,
    databases.check_shared_counters,
    contents.check_peppers,
    contents.check_expiry,
    contents.check_worker,
    request_log.check_owner,
    request_log.check_days,
    request_log.check_locks,
    contents.check_audit,
)


def examine() -> list[Finding]:
    found = [finding for check in HERE for finding in check()]
    return [*found, *_ask_counters(), *_ask_database()]


def _ask_counters() -> Iterator[Finding]:
    try:
        if settings.REDIS_URL:
            yield from databases.check_redis()
        counters().ping()
    except (OSError, CountersUnavailable, databases.redis_error()) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        yield Finding(
            "counters",
            f"Requests cannot be counted, so they are refused: {reason}.",
            "Start Redis, correct REDIS_URL, or see that the data folder can be written.",
        )


def _ask_database() -> Iterator[Finding]:
    try:
        with deadline.running(DATABASE_SECONDS):
            for check in IN_ANY_DATABASE:
                yield from check()
            lacking = list(databases.check_migrations())
            yield from lacking
            for check in () if lacking else IN_THE_TABLES:
                yield from check()
    except DatabaseError as error:
        if not is_outage(error):
            raise
        reason = " ".join(str(error).split()).rstrip(".")
        yield Finding(
            "database",
            f"The database cannot be used: {reason}.",
            "Start it, or correct DATABASE_URL.",
        )
