"""Which errors say that a dependency is down: a request is then answered 503."""

import sqlite3
from collections.abc import Sequence

from django.db.utils import DatabaseError, InterfaceError, OperationalError, ProgrammingError


class Unavailable(Exception):
    """A dependency that is no database cannot be reached."""


class LogStoreUnavailable(OperationalError):
    """The request log's own store cannot be reached; the database may well be."""


# What SQLite says of a file that was damaged.
DAMAGED = ("malformed", "not a database")
# What SQLite says of a file, and PostgreSQL of a standby, that takes no writes.
READ_ONLY = ("readonly database", "read-only transaction")
# PostgreSQL's SQLSTATE, and SQLite's words, for a database that was not set up.
UNDEFINED_TABLE = "42P01"
NO_TABLE = "no such table"


def is_outage(error: BaseException) -> bool:
    """Whether ``error`` says so; a damaged file or a standby is as good as gone."""
    if is_missing_table(error):
        return True
    if isinstance(error, Unavailable | InterfaceError):
        return True
    if isinstance(error, OperationalError):
        return not _is_wrong_statement(error)
    return is_read_only(error) or _says(error, DAMAGED)


def is_read_only(error: BaseException) -> bool:
    return _says(error, READ_ONLY)


def is_missing_table(error: BaseException) -> bool:
    """Whether a table is missing; a column or a function that is missing is a defect of ours."""
    if isinstance(error, ProgrammingError):
        return getattr(error.__cause__, "sqlstate", None) == UNDEFINED_TABLE
    return isinstance(error, OperationalError) and NO_TABLE in str(error)


def _is_wrong_statement(error: OperationalError) -> bool:
    """Whether SQLite refused the SQL, which PostgreSQL calls a ``ProgrammingError``."""
    code = getattr(error.__cause__, "sqlite_errorcode", None)
    return code == sqlite3.SQLITE_ERROR


def _says(error: BaseException, texts: Sequence[str]) -> bool:
    return isinstance(error, DatabaseError) and any(text in str(error) for text in texts)
