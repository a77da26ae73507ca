"""The worker: does what is due, over and over, until told to stop.

A duty that fails is logged and tried again when it is next due; nothing one duty does stops
the others or the worker.
"""

import logging
import os
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.utils import timezone

from apikeys.guard import idempotency
from apikeys.limiter import counters
from apikeys.limiter.store import CountersUnavailable
from jobs import expiry_notices, leases, queue
from jobs.models import Job, Worker
from jobs.models.jobs import ENDED
from jobs.worker.supervisor import Child
from logs import retention
from logs.capture import spool
from logs.shipping.shipper import Shipper

logger = logging.getLogger(__name__)

FORGET_WORKERS_AFTER = timedelta(days=1)
MAX_SLEEP = 1.0
SHIP_SECONDS = 0.2
# More than a runner takes to give its job back.
STOP_SECONDS = 12.0


@dataclass(frozen=True)
class PeriodicTask:
    """Something to do every so many seconds."""

    name: str
    every: float
    run: Callable[[datetime], object]


class WorkerLoop:
    """One worker's life."""

    def __init__(self, *, concurrency: int = 0, queues: Sequence[str] = ()) -> None:
        self._row = Worker(host=socket.gethostname(), pid=os.getpid())
        command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "run_jobs", *queues]
        self._runners = [Child(f"runner {n + 1}", command) for n in range(concurrency)]
        self._duties = [
            PeriodicTask("heartbeat", 5, self._beat),
            PeriodicTask("recovery of lost jobs", 2, leases.recover),
        ]
        # Whatever may take long, or waits for others: apart from those above.
        self._maintenance = [
            PeriodicTask("sweep of the rate-limit counters", 30, lambda now: counters().sweep()),
            PeriodicTask("pruning of idempotency keys", 600, idempotency.prune),
            PeriodicTask("pruning of request logs", 300, self._prune_logs),
            PeriodicTask("pruning of jobs", 600, queue.prune),
            PeriodicTask("giving up on jobs of unknown types", 600, queue.cancel_unknown_types),
            PeriodicTask("pruning of workers", 3600, _prune_workers),
        ]
        self._announcing = [PeriodicTask("announcing of expiries", 600, expiry_notices.announce)]
        self._stopping = threading.Event()

    def run(
        self, stopping: threading.Event, *, tell: Callable[[str], object] | None = None
    ) -> None:
        """Work until ``stopping`` is set; ``tell`` is given a line about how things are."""
        self._stopping = stopping
        # Apart from the duties: however long one takes, what was called stands in the log.
        shipping = threading.Thread(target=self._ship, args=(stopping,), name="shipping")
        shipping.start()
        for name, duties in (("upkeep", self._maintenance), ("announcing", self._announcing)):
            # Nothing is lost when one of these ends with the process.
            threading.Thread(target=_keep, args=(duties, stopping), name=name, daemon=True).start()

        def between() -> None:
            for child in self._runners:
                child.ensure_running()
            if tell is not None:
                _do(PeriodicTask("status line", 0, lambda now: tell(_status())))

        _keep(self._duties, stopping, between)
        for child in self._runners:
            child.stop()
        ends_at = time.monotonic() + STOP_SECONDS
        for child in self._runners:
            child.wait(ends_at)
        shipping.join()
        _do(
            PeriodicTask("farewell", 0, lambda now: Worker.objects.filter(pk=self._row.pk).delete())
        )

    def _ship(self, stopping: threading.Event) -> None:
        with closing(Shipper(settings.LOG_SPOOL)) as shipper:
            shipper.run(stopping, every=SHIP_SECONDS)

    def _prune_logs(self, now: datetime) -> None:
        for _ in retention.prune(retention.expired_before(now)):
            if self._stopping.is_set():
                return

    def _beat(self, now: datetime) -> None:
        self._row.seen_at = now
        self._row.save()


def _keep(
    duties: Sequence[PeriodicTask],
    stopping: threading.Event,
    between: Callable[[], None] = lambda: None,
) -> None:
    """Do each duty when it is due, until ``stopping`` is set."""
    due_at = dict.fromkeys(duties, 0.0)
    while not stopping.is_set():
        between()
        for duty in duties:
            if time.monotonic() >= due_at[duty]:
                _do(duty)
                due_at[duty] = time.monotonic() + duty.every
        wait = min(due_at.values()) - time.monotonic()
        stopping.wait(max(0.0, min(wait, MAX_SLEEP)))
    connection.close()


def _do(duty: PeriodicTask) -> None:
    """Run a duty; an outage is a line, a defect a traceback, and the worker goes on."""
    close_old_connections()
    try:
        duty.run(timezone.now())
    except (DatabaseError, InterfaceError, CountersUnavailable) as error:
        logger.warning("%s failed: %s", duty.name, " ".join(str(error).split()))
    except Exception:
        logger.exception("%s failed", duty.name)


def _status() -> str:
    counts = Counter(Job.objects.exclude(status__in=ENDED).values_list("status", flat=True))
    behind = spool.backlog(settings.LOG_SPOOL)
    return (
        f"jobs: {counts['running']} running, {counts['queued']} queued,"
        f" {counts['failed']} to retry;"
        f" request log: {behind.lag_seconds:.1f} s behind"
    )


def _prune_workers(now: datetime) -> None:
    Worker.objects.filter(seen_at__lt=now - FORGET_WORKERS_AFTER).delete()
