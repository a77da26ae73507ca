"""What must hold before anything is served; each failure is one line that says what to do."""

import errno
import socket

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import connection

from apikeys.checks import check_stores
from jobs.registry import check_job_types


def check() -> None:
    """Raise ``ImproperlyConfigured``, or the outage of the dependency that is down."""
    check_address()
    check_stores()
    if connection.vendor == "sqlite":
        check_sqlite()
    check_job_types()


def check_address() -> None:
    """See that the server can listen where it is told to."""
    host, port = settings.HOST, settings.PORT
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise ImproperlyConfigured(
            f"HOST is {host!r}, which is no address of this machine."
            " Set it to 127.0.0.1 or 0.0.0.0."
        ) from None
    with socket.socket(family, kind) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(address)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ImproperlyConfigured(
                    f"PORT {port} is in use. Stop what listens there, or set PORT to another."
                ) from None
            raise ImproperlyConfigured(
                f"HOST {host} with PORT {port} cannot be listened on, {error.strerror}."
                " Set HOST to an address of this machine and PORT above 1023."
            ) from None


def check_sqlite() -> None:
    """See that the database file waits for its turn and lets readers and a writer work at once."""
    with connection.cursor() as cursor:
        mode = cursor.execute("PRAGMA journal_mode").fetchone()[0]
        busy = cursor.execute("PRAGMA busy_timeout").fetchone()[0]
    if mode != "wal" or not busy:
        raise ImproperlyConfigured(
            "DATABASE_URL names an SQLite file on a file system without shared memory."
            " Move the data folder to a local disk."
        )
