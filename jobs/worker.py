"""The worker: does what is due, over and over, until told to stop.

A duty that fails is logged and tried again when it is next due; nothing one duty does stops
the others or the worker.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections
from django.utils import timezone

from apikeys.guard import idempotency
from apikeys.limiter import counters
from apikeys.limiter.store import CountersUnavailable
from jobs.models import Worker
from logs import retention
from logs.shipping import Shipper

logger = logging.getLogger(__name__)

FORGET_WORKERS_AFTER = timedelta(days=1)
LONGEST_SLEEP = 1.0
SHIP_SECONDS = 0.2


@dataclass(frozen=True)
class Duty:
    """Something to do every so many seconds."""

    name: str
    every: float
    run: Callable[[datetime], object]


class WorkerLoop:
    """One worker's life."""

    def __init__(self) -> None:
        self._row = Worker(host=socket.gethostname(), pid=os.getpid())
        self._duties = [
            Duty("heartbeat", 5, self._beat),
            Duty("sweep of the rate-limit counters", 30, lambda now: counters().sweep()),
            Duty("pruning of idempotency keys", 600, idempotency.prune),
            Duty("pruning of request logs", 300, retention.prune_expired),
            Duty("pruning of workers", 3600, _prune_workers),
        ]

    def run(self, stopping: threading.Event) -> None:
        """Work until ``stopping`` is set."""
        due_at = dict.fromkeys(self._duties, 0.0)
        # Apart from the duties: however long one takes, what was called stands in the log.
        shipping = threading.Thread(target=self._ship, args=(stopping,), name="shipping")
        shipping.start()
        while not stopping.is_set():
            for duty in self._duties:
                if time.monotonic() >= due_at[duty]:
                    _do(duty)
                    due_at[duty] = time.monotonic() + duty.every
            wait = min(due_at.values()) - time.monotonic()
            stopping.wait(max(0.0, min(wait, LONGEST_SLEEP)))
        shipping.join()
        _do(Duty("farewell", 0, lambda now: Worker.objects.filter(pk=self._row.pk).delete()))

    def _ship(self, stopping: threading.Event) -> None:
        with closing(Shipper(settings.LOG_SPOOL)) as shipper:
            shipper.run(stopping, every=SHIP_SECONDS)

    def _beat(self, now: datetime) -> None:
        self._row.seen_at = now
        self._row.save()


def _do(duty: Duty) -> None:
    """Run a duty; an outage is a line, a defect a traceback, and the worker goes on."""
    close_old_connections()
    try:
        duty.run(timezone.now())
    except (DatabaseError, InterfaceError, CountersUnavailable) as error:
        logger.warning("%s failed: %s", duty.name, " ".join(str(error).split()))
    except Exception:
        logger.exception("%s failed", duty.name)


def _prune_workers(now: datetime) -> None:
    Worker.objects.filter(seen_at__lt=now - FORGET_WORKERS_AFTER).delete()
