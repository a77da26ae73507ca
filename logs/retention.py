"""Deletes old requests: whole days at once on PostgreSQL, the rest in small batches.

Both go by a range of the time-ordered ids. A day is a partition there, which is dropped.

Hourly usage stays. So do the networks of keys, until a key was not sent from one for long, and
the peaks of days, as long as anybody asks for them.
"""

import logging
from collections.abc import Iterator
from datetime import datetime, timedelta
from time import sleep
from typing import Any

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, ProgrammingError, transaction
from django.db.models import Q, QuerySet

from database.periodic_tasks import PeriodicTask
from logs import usage_peaks
from logs.models import DailyPeak, KeyNetwork, RequestContent, RequestLog
from logs.partitions import upkeep
from logs.stores import log_store

logger = logging.getLogger(__name__)

BATCH = 500
# Between two batches, for waiting writers: SQLite has one writer at a time.
PAUSE_SECONDS = 0.02
# A network that comes back after so long is told of as a new one.
NETWORKS_KEPT = timedelta(days=180)
PEAKS_KEPT = timedelta(days=usage_peaks.DAYS + 1)


def expired_before(now: datetime) -> datetime:
    return now - timedelta(days=settings.LOG_RETENTION_DAYS)


def count(timestamp: datetime) -> int:
    return RequestLog.objects.before(timestamp).count()


def prune(timestamp: datetime) -> Iterator[int]:
    """Delete the requests before ``timestamp``; yield how many after each step."""
    store = log_store()
    if store.deletes_by_itself:
        yield from store.prune(timestamp)
    # The database has what came before there was such a store.
    if whole := upkeep.whole_until(timestamp):
        number = _in_database(RequestLog).before(whole).count()
        # What somebody has locked is deleted row by row.
        if _dropped_before(whole):
            yield number
    yield from _delete_before(timestamp)


def _dropped_before(timestamp: datetime) -> bool | None:
    """Drop whole days; False if they are in use, None if this database user may not drop them."""
    try:
        return upkeep.drop_before(timestamp)
    except ProgrammingError as error:
        reason = " ".join(str(error).split())
        logger.warning("days of the request log are deleted row by row, not dropped: %s", reason)
        return None


def _in_database(model: Any) -> Any:
    return model.objects.using(DEFAULT_DB_ALIAS)


def _delete_before(timestamp: datetime) -> Iterator[int]:
    rows, contents = _in_database(RequestLog), _in_database(RequestContent)
    while True:
        oldest = rows.before(timestamp).order_by("pk").values_list("pk", flat=True)
        ids = list(oldest[:BATCH])
        if not ids:
            return
        with transaction.atomic():
            first, last = ids[0], ids[-1]
            contents.filter(pk__gte=first, pk__lte=last).delete()
            deleted, _ = rows.filter(pk__gte=first, pk__lte=last).delete()
        yield deleted
        if len(ids) < BATCH:
            return
        sleep(PAUSE_SECONDS)


def prune_expired(now: datetime) -> None:
    """Delete what is expired; of the days that are dropped, each once all of it is."""
    timestamp = expired_before(now)
    may_drop = _dropped_before(timestamp) is not None
    for _ in _delete_before(upkeep.days_begin(timestamp) if may_drop else timestamp):
        pass


def forget_unused(now: datetime) -> int:
    """Delete networks and peaks that are too old; return how many rows those were."""
    long_ago = now - NETWORKS_KEPT
    unused = Q(last_used_at__lt=long_ago) | Q(last_used_at=None, refused_at__lt=long_ago)
    rows = (
        KeyNetwork.objects.filter(unused),
        DailyPeak.objects.filter(day__lt=(now - PEAKS_KEPT).date()),
    )
    return sum(sum(_in_batches(old)) for old in rows)


def _in_batches(rows: QuerySet[Any]) -> Iterator[int]:
    while ids := list(rows.values_list("pk", flat=True)[:BATCH]):
        yield rows.filter(pk__in=ids).delete()[0]
        sleep(PAUSE_SECONDS)


PRUNING = PeriodicTask("pruning of request logs", 300, prune_expired)
FORGETTING = PeriodicTask("pruning of networks and peaks", 3600, forget_unused)
