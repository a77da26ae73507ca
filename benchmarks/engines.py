"""Job engines under ``kill -9``: Latchkey's runner, Procrastinate and Celery with the same job.

Each job has steps of some milliseconds, each of which leaves a row. All processes of a worker are
killed at once while its jobs run, and another worker is started in its place.
"""

import logging
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

os.environ["JOB_TYPE_MODULES"] = "benchmarks.engine_latchkey"

from config.wsgi import application  # noqa: F401 - sets Django up

# isort: split
from django.conf import settings
from django.core.management import call_command
from django.db import connection

from apikeys import lifecycle
from apikeys.environments import Environment
from apikeys.permissions import Permission
from audit.actors import Actor, Source
from benchmarks import engine_celery, engine_procrastinate
from benchmarks.engine_effects import CREATE
from jobs import queue
from jobs.registry import job_types
from tests.support.servers import wait_until

KILLS = int(os.environ.get("BENCH_KILLS", "6"))
JOBS = int(os.environ.get("BENCH_JOBS", "600"))
STEPS = int(os.environ.get("BENCH_STEPS", "20"))
STUCK_SECONDS = float(os.environ.get("BENCH_STUCK_SECONDS", "180"))
RATE_SECONDS = 300
STEP_SECONDS = 0.05
JOBS_A_KILL = 4
CONCURRENCY = "2"


class Engine(ABC):
    """A job engine with two jobs at once."""

    name: str
    command: tuple[str, ...]

    @abstractmethod
    def submit(self, jobs: range, steps: int, seconds: float) -> None:
        """Queue a job for each number."""


class Latchkey(Engine):
    """Our runner."""

    name = "Latchkey"
    command = ("manage.py", "worker", "--concurrency", CONCURRENCY)

    def __init__(self) -> None:
        self._key = lifecycle.create(
            environment=Environment.PRODUCTION,
            actor=Actor(Source.SYSTEM, "benchmark"),
            name="Bench",
            permissions=list(Permission),
        ).key

    def submit(self, jobs: range, steps: int, seconds: float) -> None:
        kind = job_types()["bench.effects"]
        for job in jobs:
            queue.submit(self._key, kind, {"job": job, "steps": steps, "seconds": seconds})


class Procrastinate(Engine):
    """Procrastinate, on PostgreSQL."""

    name = "Procrastinate"
    command = (
        "-m", "procrastinate", "--app", "benchmarks.engine_procrastinate.app", "worker",
        "--concurrency", CONCURRENCY,
    )  # fmt: skip

    def __init__(self) -> None:
        with engine_procrastinate.app.open():
            engine_procrastinate.app.schema_manager.apply_schema()

    def submit(self, jobs: range, steps: int, seconds: float) -> None:
        with engine_procrastinate.app.open():
            for job in jobs:
                engine_procrastinate.leave_effects.defer(job=job, steps=steps, seconds=seconds)


class Celery(Engine):
    """Celery, on Redis."""

    name = "Celery"
    command = (
        "-m", "celery", "--app", "benchmarks.engine_celery", "worker", "--concurrency",
        CONCURRENCY, "--loglevel", "ERROR",
    )  # fmt: skip

    def submit(self, jobs: range, steps: int, seconds: float) -> None:
        for job in jobs:
            engine_celery.leave_effects.delay(job, steps, seconds)


@dataclass
class Outcome:
    """What the kills did to an engine's jobs."""

    submitted: int = 0
    interrupted: int = 0
    stuck: int = 0
    recoveries: list[float] = field(default_factory=list)


def rows(jobs: range) -> list[tuple[int, int, float]]:
    """Return job, step and time of what jobs have left, in the order of time."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT job, step, at FROM bench_effects WHERE job >= %s AND job < %s ORDER BY at",
            [jobs.start, jobs.stop],
        )
        return list(cursor.fetchall())


def ended(jobs: range, steps: int) -> set[int]:
    """Return the jobs that have left their last row."""
    return {job for job, step, _ in rows(jobs) if step == steps - 1}


def start(engine: Engine) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, *engine.command],
        cwd=settings.BASE_DIR,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def kill(worker: "subprocess.Popen[bytes]") -> None:
    """Kill a worker and all processes below it; none sees another one die."""
    pids = [worker.pid]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
        listed = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
        )
        pids += map(int, listed.stdout.split())
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    worker.wait()


@contextmanager
def working(engine: Engine) -> Iterator[list["subprocess.Popen[bytes]"]]:
    """Run a worker; yield a list with it, where another one may take its place."""
    workers = [start(engine)]
    try:
        yield workers
    finally:
        kill(workers[0])


def kill_while_it_works(engine: Engine, first: int) -> Outcome:
    """Kill the worker again and again, each time while jobs of its own run."""
    chance = random.Random(1)  # noqa: S311
    outcome = Outcome()
    with working(engine) as workers:
        for number in range(KILLS):
            jobs = range(first + number * JOBS_A_KILL, first + (number + 1) * JOBS_A_KILL)
            kill_once(engine, workers, jobs, chance.randrange(2, STEPS), outcome)
    return outcome


def kill_once(
    engine: Engine,
    workers: list["subprocess.Popen[bytes]"],
    jobs: range,
    least: int,
    outcome: Outcome,
) -> None:
    """Kill the worker when so many rows are there; add what became of the jobs to ``outcome``."""
    engine.submit(jobs, STEPS, STEP_SECONDS)
    wait_until(lambda: len(rows(jobs)) >= least)
    kill(workers[0])
    killed_at = time.time()
    begun = {job for job, _, _ in rows(jobs)} - ended(jobs, STEPS)
    workers[0] = start(engine)
    with suppress(TimeoutError):
        wait_until(lambda: len(ended(jobs, STEPS)) == len(jobs), STUCK_SECONDS)
    outcome.submitted += len(jobs)
    outcome.interrupted += len(begun)
    outcome.stuck += len(jobs) - len(ended(jobs, STEPS))
    for job in begun:
        again = [at for one, _, at in rows(jobs) if one == job and at > killed_at]
        outcome.recoveries += [again[0] - killed_at] if again else []


def measure_rate(engine: Engine, first: int) -> float:
    """Return how many jobs of one step that takes no time end in a second."""
    jobs = range(first, first + JOBS)
    engine.submit(jobs, 1, 0.0)
    with working(engine):
        wait_until(lambda: len(ended(jobs, 1)) == JOBS, RATE_SECONDS)
    times = [at for _, _, at in rows(jobs)]
    return (JOBS - 1) / (times[-1] - times[0])


def compare(engine: Engine, first: int) -> None:
    """Print what an engine's jobs lost and did twice, and how fast it is."""
    rate = measure_rate(engine, first)
    start_at = first + JOBS
    outcome = kill_while_it_works(engine, start_at)
    jobs = range(start_at, start_at + outcome.submitted)
    done = ended(jobs, STEPS)
    effects = Counter((job, step) for job, step, _ in rows(jobs))
    lost = sum(effects[job, step] == 0 for job in done for step in range(STEPS))
    doubled = sum(count > 1 for count in effects.values())
    seconds = f"{statistics.median(outcome.recoveries):6.1f} s" if outcome.recoveries else "   none"
    print(
        f"{engine.name:14} {KILLS} x kill -9: {lost:3} lost and {doubled:4} doubled of"
        f" {len(jobs) * STEPS} effects, {outcome.stuck} of {len(jobs)} jobs stuck;"
        f" {outcome.interrupted} interrupted, again at work after {seconds};"
        f" {rate:6.0f} jobs/s"
    )


def main() -> None:
    """Compare the engines that the storage pair has."""
    logging.getLogger("procrastinate").setLevel(logging.WARNING)
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(CREATE)
    engines: list[type[Engine]] = [Latchkey]
    if connection.vendor == "postgresql":
        engines += [Procrastinate, Celery]
    for number, engine in enumerate(engines):
        compare(engine(), number * 1_000_000)


if __name__ == "__main__":
    main()
