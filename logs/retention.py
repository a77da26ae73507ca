"""Deletes old requests in small batches, by a range of the time-ordered ids.

Hourly usage stays.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from time import sleep

from django.conf import settings
from django.db import transaction

from database.periodic_tasks import PeriodicTask
from logs.models import RequestContent, RequestLog

BATCH = 500
# Between two batches, for waiting writers: SQLite has one writer at a time.
PAUSE_SECONDS = 0.02


def expired_before(now: datetime) -> datetime:
    return now - timedelta(days=settings.LOG_RETENTION_DAYS)


def count(timestamp: datetime) -> int:
    return RequestLog.objects.before(timestamp).count()


def prune(timestamp: datetime) -> Iterator[int]:
    """Delete the requests before ``timestamp``; yield how many after each batch."""
    while True:
        oldest = RequestLog.objects.before(timestamp).order_by("pk").values_list("pk", flat=True)
        ids = list(oldest[:BATCH])
        if not ids:
            return
        with transaction.atomic():
            first, last = ids[0], ids[-1]
            RequestContent.objects.filter(pk__gte=first, pk__lte=last).delete()
            deleted, _ = RequestLog.objects.filter(pk__gte=first, pk__lte=last).delete()
        yield deleted
        if len(ids) < BATCH:
            return
        sleep(PAUSE_SECONDS)


def prune_expired(now: datetime) -> None:
    for _ in prune(expired_before(now)):
        pass


PRUNING = PeriodicTask("pruning of request logs", 300, prune_expired)
