"""Deletes expired sessions: Django leaves them in the table, as does the list of them."""

from collections.abc import Iterator
from datetime import datetime
from time import sleep
from typing import Any

from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.db.models import Exists, OuterRef, QuerySet

from database.periodic_tasks import PeriodicTask

BATCH = 500
# Between two batches, for waiting writers: SQLite has one writer at a time.
PAUSE_SECONDS = 0.02


def prune(now: datetime) -> int:
    """Delete expired sessions, and what is listed of sessions that are gone; return how many."""
    alive = Session.objects.filter(session_key=OuterRef("session_key"))
    rows = (
        Session.objects.filter(expire_date__lt=now),
        UserSession.objects.filter(~Exists(alive)),
    )
    return sum(sum(_in_batches(old)) for old in rows)


def _in_batches(rows: QuerySet[Any]) -> Iterator[int]:
    while ids := list(rows.values_list("pk", flat=True)[:BATCH]):
        # Asked again: a session may have been used since, and so live on.
        yield rows.filter(pk__in=ids).delete()[0]
        sleep(PAUSE_SECONDS)


PRUNING = PeriodicTask("pruning of sessions", 3600, prune)
