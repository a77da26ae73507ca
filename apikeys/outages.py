"""Which errors say that a dependency is down: a request is then answered 503."""

from django.db.utils import DatabaseError, InterfaceError, OperationalError

from apikeys.limiter.store import CountersUnavailable

# What SQLite says of a file that was damaged.
DAMAGED = ("malformed", "not a database")


def is_outage(error: BaseException) -> bool:
    """Whether ``error`` says so; a damaged SQLite file is as good as gone."""
    if isinstance(error, CountersUnavailable | OperationalError | InterfaceError):
        return True
    return isinstance(error, DatabaseError) and any(words in str(error) for words in DAMAGED)
