"""Health for supervisors and balancers: is the process alive, can it serve."""

import logging
from collections.abc import Callable

from django.conf import settings
from django.db import DatabaseError, connection
from django.http import HttpRequest, JsonResponse

from apikeys.limiter import counters
from apikeys.limiter.store import CountersUnavailable
from database import deadline
from database.connections.postgresql import connect
from jobs.models import Worker
from logs import middleware
from logs.capture import spool
from logs.capture.durability import STORE

logger = logging.getLogger(__name__)


def healthz(request: HttpRequest) -> JsonResponse:
    """Answer 200: this process takes requests."""
    return JsonResponse({"status": "ok"})


def readyz(request: HttpRequest) -> JsonResponse:
    """Answer 200 if everything a request needs works, else 503; the body says what does not."""
    with deadline.running():
        checks = outcomes()
        behind = spool.backlog(settings.LOG_SPOOL)
        restored_at = spool.restored_at(settings.LOG_SPOOL)
    failed = {name: outcome for name, outcome in checks.items() if outcome != "ok"}
    if failed:
        logger.error("not ready: %s", "; ".join(f"{name}: {failed[name]}" for name in failed))
    return JsonResponse(
        {
            "status": "unavailable" if failed else "ok",
            "version": settings.LATCHKEY_VERSION,
            "checks": checks,
            "request_log": {**behind._asdict(), "restored_at": restored_at},
        },
        status=503 if failed else 200,
        headers={"Cache-Control": "no-store"},
    )


def outcomes() -> dict[str, str]:
    """Return what each check finds: ok, or what is wrong."""
    return {
        "database": _outcome(_check_database),
        "counters": _outcome(counters().ping),
        "worker": _outcome(_check_worker),
        "request_log": _outcome(_check_spool),
    }


class _Absent(Exception):
    """Something that should be running is not."""


def _outcome(check: Callable[[], None]) -> str:
    try:
        check()
    except (DatabaseError, CountersUnavailable):
        return "unreachable"
    except _Absent as error:
        return str(error)
    return "ok"


def _check_database() -> None:
    connect(connection)
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")


def _check_spool() -> None:
    if spool.size(settings.LOG_SPOOL) >= settings.LOG_SPOOL_BYTES:
        raise _Absent("the spool is full, so requests are refused")
    if not spool.can_write(settings.LOG_SPOOL):
        raise _Absent("the spool cannot be written, so requests are refused")
    if settings.LOG_DURABILITY == STORE and not middleware.spool().has_room:
        raise _Absent("the worker of this host stores no records, so requests are refused")


def _check_worker() -> None:
    if not Worker.objects.alive().exists():
        raise _Absent("no worker is running")
