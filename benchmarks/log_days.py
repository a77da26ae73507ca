"""How long retention takes for a day of the log on PostgreSQL, and what others wait meanwhile."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from django.db import connection

from database.uuid7 import made_at
from logs.models import RequestLog
from logs.partitions import upkeep
from logs.partitions.catalogue import REQUESTS, partitions
from logs.stores.database import store
from tests.support.factories import record

PAUSE_SECONDS = 0.005


def measure_day() -> None:
    """Print how long it takes to drop the oldest whole day, beside a writer and a reader."""
    days = [one.span.lower for one in partitions(REQUESTS) if not one.is_gap]
    begin, end = (made_at(lower) for lower in days[1:3] if lower)
    # The first is a part of a day.
    upkeep.drop_before(begin)
    rows = RequestLog.objects.before(end).count()
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_database_size(current_database()) / 1e9")
        size = cursor.fetchone()[0]
    with _repeating(lambda: store([record()])) as writes, _repeating(_read) as reads:
        time.sleep(2)
        usual = max(writes), max(reads)
        writes.clear()
        reads.clear()
        began = time.perf_counter()
        if not upkeep.drop_before(end):
            raise SystemExit("the log is in use, so the day was not dropped")
        seconds = time.perf_counter() - began
        time.sleep(2)
    print(
        f"retention    {rows:,} of {RequestLog.objects.count() + rows:,} rows, {size:.1f} GB:"
        f" {seconds:.2f} s; a record waited at most {max(writes) * 1000:.0f} ms"
        f" (before {usual[0] * 1000:.0f}), a list {max(reads) * 1000:.0f} ms"
        f" (before {usual[1] * 1000:.0f})"
    )


def _read() -> None:
    list(RequestLog.objects.newest_first()[:50])


@contextmanager
def _repeating(act: Callable[[], object]) -> Iterator[list[float]]:
    """Do something again and again in a thread; yield how many seconds each took."""
    stopping, took = threading.Event(), [0.0]

    def repeat() -> None:
        while not stopping.wait(PAUSE_SECONDS):
            began = time.perf_counter()
            act()
            took.append(time.perf_counter() - began)
        connection.close()

    thread = threading.Thread(target=repeat)
    thread.start()
    try:
        yield took
    finally:
        stopping.set()
        thread.join()
