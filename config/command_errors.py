"""Which errors mean that a dependency is down, and the line an operator reads then."""

import sqlite3

from django.conf import settings
from django.utils.module_loading import import_string

from apikeys.limiter.store import CountersUnavailable
from database.outages import LogStoreUnavailable, is_missing_table, is_outage, is_read_only


def describe_outage(error: BaseException) -> str | None:
    """Return two sentences for an operator, or None for an error that is no outage."""
    if isinstance(error, CountersUnavailable) or _is_of_redis(error):
        return "The rate-limit counters cannot be reached. Check REDIS_URL or the data folder."
    if isinstance(error, LogStoreUnavailable):
        return f"The log store cannot be used: {error}. Check LOG_STORE_URL and the server."
    if is_missing_table(error):
        return "The database has not been set up. Run `manage.py migrate` first."
    if is_read_only(error):
        return (
            "The database can only be read. Name the primary server in DATABASE_URL, or let this"
            " user write the database file and its folder."
        )
    if isinstance(error, sqlite3.OperationalError) or is_outage(error):
        reason = " ".join(str(error).split()).rstrip(".")
        return f"The database cannot be used: {reason}. Check DATABASE_URL and the server."
    return None


def is_down(error: BaseException) -> bool:
    """Whether a page failed for want of a dependency, and not for a defect."""
    return is_outage(error) or _is_of_redis(error)


def _is_of_redis(error: BaseException) -> bool:
    return bool(settings.REDIS_URL) and isinstance(
        error, import_string("redis.exceptions.RedisError")
    )
