"""The worker: runs periodic tasks, and asks for a runner while a job waits, until it is stopped.

A task that fails is logged and runs again when it is next due; it never stops the worker.
"""

import logging
import os
import socket
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Sequence
from contextlib import nullcontext
from datetime import datetime, timedelta

from django.conf import settings
from django.db import DatabaseError, InterfaceError, close_old_connections, connection
from django.utils import timezone

from database import deadline
from database.connections.postgresql import connect
from database.outages import Unavailable
from database.periodic_tasks import PeriodicTask, declared
from jobs import leases, queue
from jobs.models import Job, Worker
from jobs.models.jobs import ENDED
from logs.capture import spool

logger = logging.getLogger(__name__)

FORGET_WORKERS_AFTER = timedelta(days=1)
MAX_SLEEP = 1.0
QUEUE_POLL_SECONDS = 0.2
# A heartbeat must not wait for a server that is silent: another may have taken over.
OWN_SECONDS = 7.0


class WorkerLoop:
    """One worker process."""

    def __init__(
        self, *, queues: Collection[str] = (), ask: Callable[[], object] | None = None
    ) -> None:
        """``ask`` has a runner started; without it, none is asked for."""
        self._row = Worker(host=socket.gethostname(), pid=os.getpid())
        self._queues = queues
        self._ask = ask
        self._tasks = [
            PeriodicTask("heartbeat", 5, self._beat),
            PeriodicTask("recovery of lost jobs", 2, leases.recover),
        ]
        # Apps' tasks may be slow, so they run on threads apart from the heartbeat.
        self._threads: dict[str, list[PeriodicTask]] = defaultdict(list)
        for task in declared("periodic_tasks"):
            self._threads[task.thread].append(task)

    def run(
        self, stopping: threading.Event, *, tell: Callable[[str], object] | None = None
    ) -> None:
        """Work until ``stopping`` is set; ``tell`` receives a status line."""
        joined = [
            threading.Thread(target=run, args=(stopping,)) for run in declared("worker_threads")
        ]
        for thread in joined:
            thread.start()
        for name, tasks in self._threads.items():
            # Daemons: these tasks can be interrupted without loss.
            threading.Thread(target=_keep, args=(tasks, stopping), name=name, daemon=True).start()
        if self._ask is not None:
            args = (self._ask, self._queues, stopping)
            threading.Thread(target=_watch_queues, args=args, name="queues", daemon=True).start()

        def between() -> None:
            if tell is not None:
                _do(PeriodicTask("status line", 0, lambda now: tell(_status())))

        _keep(self._tasks, stopping, between, OWN_SECONDS)
        for thread in joined:
            thread.join()
        _do(PeriodicTask("deregistration", 0, self._deregister))

    def _deregister(self, now: datetime) -> None:
        Worker.objects.filter(pk=self._row.pk).delete()

    def _beat(self, now: datetime) -> None:
        self._row.seen_at = now
        self._row.save()


def _keep(
    tasks: Sequence[PeriodicTask],
    stopping: threading.Event,
    between: Callable[[], None] = lambda: None,
    seconds: float | None = None,
) -> None:
    due_at = dict.fromkeys(tasks, 0.0)
    while not stopping.is_set():
        between()
        for task in tasks:
            if time.monotonic() >= due_at[task]:
                _do(task, seconds)
                due_at[task] = time.monotonic() + task.every
        wait = min(due_at.values()) - time.monotonic()
        stopping.wait(max(0.0, min(wait, MAX_SLEEP)))
    connection.close()


def _watch_queues(
    ask: Callable[[], object], queues: Collection[str], stopping: threading.Event
) -> None:
    """Ask for a runner again and again while a job waits: those that run may all be busy."""
    while not stopping.wait(QUEUE_POLL_SECONDS):
        try:
            with deadline.running(OWN_SECONDS):
                connect(connection)
                is_due = queue.has_due(queues)
            if is_due:
                ask()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("looking for jobs failed: %s", " ".join(str(error).split()))
            connection.close()
            stopping.wait(1.0)
        except Exception:
            logger.exception("looking for jobs failed")
            stopping.wait(1.0)
    connection.close()


def _do(task: PeriodicTask, seconds: float | None = None) -> None:
    """Run a task, within ``seconds``; log an outage as one line, a defect with its traceback."""
    close_old_connections()
    try:
        with deadline.running(seconds) if seconds else nullcontext():
            connect(connection)
            task.run(timezone.now())
    except (DatabaseError, InterfaceError, Unavailable) as error:
        logger.warning("%s failed: %s", task.name, " ".join(str(error).split()))
    except Exception:
        logger.exception("%s failed", task.name)


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


PRUNING = PeriodicTask("pruning of workers", 3600, _prune_workers)
