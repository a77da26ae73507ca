"""Runs jobs one after the other in a process of their own, started when a job waits.

A job that exhausts memory, hangs or calls ``os._exit`` ends only this process; the next job gets
another. A thread renews the lease, and ends the process when the job exceeds its time limit or
ignores a cancellation. If that thread cannot run, the kernel ends the process with the lease.
"""

import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Collection, Generator
from pathlib import Path
from types import TracebackType

from django.conf import settings
from django.db import DatabaseError, InterfaceError, connection, transaction

from database.connections.postgresql import connect, limit_waits
from jobs import leases, queue
from jobs.leases import CancelRequested, LeaseLost, Withdrawn
from jobs.models import Job
from jobs.registry import Call, Failure, JobFailed, RunnableType, Steps, runnable_types
from jobs.worker.supervisor import stop_event

logger = logging.getLogger(__name__)

IDLE_SECONDS = 0.2
# Without a job for so long the process ends. It is kept a while, since jobs come in groups.
MAX_IDLE_SECONDS = 10.0
BEAT_SECONDS = 1.0
CANCEL_GRACE_SECONDS = 2.5
STOP_SECONDS = 8.0
EXIT_TIMEOUT = 70
MAX_PAUSE = 0.25


class Runner:
    """Claims and runs jobs until ``stopping`` is set or none was left for a while."""

    def __init__(self, queues: Collection[str], stopping: threading.Event) -> None:
        self._queues = queues
        self._stopping = stopping
        self._name = f"{socket.gethostname()}:{os.getpid()}"

    def run(self) -> None:
        ends_at = time.monotonic() + MAX_IDLE_SECONDS
        while not self._stopping.is_set() and time.monotonic() < ends_at:
            try:
                connect(connection)
                job = queue.claim(self._name, self._queues)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("claiming a job failed: %s", " ".join(str(error).split()))
                connection.close()
                self._stopping.wait(1.0)
                continue
            if job is None:
                self._stopping.wait(IDLE_SECONDS)
            else:
                self._run(job, runnable_types()[job.type])
                ends_at = time.monotonic() + MAX_IDLE_SECONDS

    def _run(self, job: Job, kind: RunnableType) -> None:
        with Heartbeat(job, kind.time_limit, self._stopping):
            try:
                work = kind.begin(job)
                if isinstance(work, Generator):
                    self._steps(job, work)
                else:
                    self._call(job, work)
            except LeaseLost:
                logger.warning("job %s belongs to another runner now", job.pk)
            except CancelRequested:
                _retry_until_recorded(lambda: leases.stop(job))
            except Withdrawn as withdrawn:
                reason = str(withdrawn)
                _retry_until_recorded(lambda: leases.stop(job, reason))
            except JobFailed as error:
                refused = Failure(str(error), is_final=True)
                _retry_until_recorded(lambda: leases.fail(job, refused))
            # A job that exits ends itself, not its runner.
            except (Exception, MemoryError, SystemExit) as error:
                logger.exception("job %s (%s) failed", job.pk, job.type)
                failure = kind.failure(error)
                _retry_until_recorded(lambda: leases.fail(job, failure))
        kind.ended(job)

    def _call(self, job: Job, call: Call) -> None:
        """Call a function that commits its effects itself: if it is cut off, it is called again."""
        if self._stopping.is_set():
            _retry_until_recorded(lambda: leases.release(job))
            return
        result = call()

        def complete() -> None:
            with transaction.atomic():
                leases.complete(job, result)

        _retry_until_recorded(complete)

    def _steps(self, job: Job, steps: Steps) -> None:
        # ``claim()`` has just checked the key, so the first step does not.
        is_first = True
        while True:
            if self._stopping.is_set():
                _retry_until_recorded(lambda: leases.release(job))
                return
            started_at = time.monotonic()
            with transaction.atomic():
                if not is_first:
                    leases.require_key(job)
                is_first = False
                try:
                    step = next(steps)
                except StopIteration as ended:
                    leases.complete(job, ended.value)
                    return
                leases.checkpoint(job, step)
            if connection.vendor == "sqlite":
                # A step holds SQLite's only write lock: leave other writers as much time.
                time.sleep(min(time.monotonic() - started_at, MAX_PAUSE))


class Heartbeat:
    """Renews a job's lease while the block runs; ends the process of a job that does not stop."""

    def __init__(self, job: Job, time_limit: float, stopping: threading.Event) -> None:
        self._job = job
        self._ends_at = time.monotonic() + time_limit
        self._time_limit = time_limit
        self._stopping = stopping
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> None:
        self._arm()
        self._thread.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self._is_over.set()
        signal.setitimer(signal.ITIMER_REAL, 0)

    @staticmethod
    def _arm() -> None:
        """Have the kernel end the process when the lease expires; SIGALRM has no handler."""
        signal.setitimer(signal.ITIMER_REAL, settings.JOB_LEASE_SECONDS)

    def _beat(self) -> None:
        try:
            self._renew()
        except BaseException:  # noqa: BLE001 - nobody else hears of it
            # Usually out of memory: a job without heartbeat loses its lease anyway.
            os._exit(EXIT_TIMEOUT)

    def _renew(self) -> None:
        unheeded_since = stopping_since = None
        while not self._is_over.wait(BEAT_SECONDS):
            now = time.monotonic()
            if now > self._ends_at:
                self._end(self._fail_for_time)
            try:
                asked_at = leases.renew(self._job)
                self._arm()
            except LeaseLost:
                asked_at = None
            except (DatabaseError, InterfaceError):
                connection.close()
                continue
            if asked_at is not None:
                unheeded_since = unheeded_since or now
                if now - unheeded_since > CANCEL_GRACE_SECONDS:
                    self._end(lambda: leases.stop(self._job))
            if self._stopping.is_set():
                stopping_since = stopping_since or now
                if now - stopping_since > STOP_SECONDS:
                    self._end(lambda: leases.release(self._job))
        connection.close()

    def _fail_for_time(self) -> None:
        leases.fail(self._job, Failure(f"The job took longer than {self._time_limit:.0f} s."))

    def _end(self, say: Callable[[], object]) -> None:
        """End the process, which rolls the step back and lets the lease expire."""
        if self._is_over.is_set():
            return
        try:
            if connection.vendor == "postgresql":
                say()
        except (DatabaseError, InterfaceError):
            pass
        finally:
            # On SQLite the step holds the write lock until the process ends, so the worker's
            # recovery records the attempt.
            os._exit(EXIT_TIMEOUT)


def _retry_until_recorded(say: Callable[[], object]) -> None:
    """Retry through a short database outage; after a longer one, recovery retries the job."""
    for _ in range(10):
        try:
            say()
        except (DatabaseError, InterfaceError) as error:
            logger.warning("a job's outcome waits: %s", " ".join(str(error).split()))
            connection.close()
            time.sleep(1.0)
        else:
            return


def limit_memory(more_bytes: int) -> None:
    """Limit the process's address space to its present size and ``more_bytes``."""
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + more_bytes
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def main(queues: Collection[str]) -> None:
    stopping = stop_event()
    limit_waits()
    runnable_types()
    limit_memory(settings.JOB_MEMORY_BYTES)
    Runner(queues, stopping).run()
