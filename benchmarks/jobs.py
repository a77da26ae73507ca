"""Jobs: how fast they go through, and how soon one starts."""

import os
import statistics
import subprocess
import sys
import time

os.environ["JOB_TYPE_MODULES"] = "tests.support.job_types"

from config.wsgi import application  # noqa: F401 - sets Django up

# isort: split
from django.conf import settings
from django.core.management import call_command

from apikeys import lifecycle
from apikeys.environments import Environment
from apikeys.models import ApiKey
from apikeys.permissions import Permission
from audit.actors import Actor, Source
from jobs import queue
from jobs.models import Job
from jobs.registry import job_types
from jobs.worker.runner import MAX_IDLE_SECONDS
from tests.support.servers import wait_until

JOBS = int(os.environ.get("BENCH_JOBS", "600"))
STARTS = min(20, JOBS)
IDLE_SECONDS = int(os.environ.get("BENCH_IDLE_SECONDS", "10"))


def submit(key: ApiKey, count: int) -> None:
    """Queue jobs that do nothing."""
    for _ in range(count):
        queue.submit(key, job_types()["test.nothing"], {"steps": 1, "seconds": 0.0})


def waiting() -> int:
    """Return how many jobs are not done."""
    return Job.objects.exclude(status="succeeded").count()


def measure_jobs(key: ApiKey) -> None:
    """Print jobs per second, the delay of a start, and what an idle runner costs."""
    submit(key, JOBS)
    runner = subprocess.Popen(
        [sys.executable, str(settings.BASE_DIR / "manage.py"), "worker", "--concurrency", "2"]
    )
    try:
        wait_until(lambda: waiting() < JOBS)
        began, before = time.perf_counter(), waiting()
        wait_until(lambda: waiting() == 0, 120)
        print(f"trivial jobs {before / (time.perf_counter() - began):7.0f} jobs/s, one worker")
        delays = []
        for _ in range(STARTS):
            time.sleep(0.33)
            submit(key, 1)
            wait_until(lambda: waiting() == 0)
            job = Job.objects.latest("pk")
            assert job.started_at is not None
            delays.append((job.started_at - job.queued_at).total_seconds() * 1000)
        print(
            f"start        {statistics.median(delays):7.0f} ms after a job was queued, idle worker"
        )
        time.sleep(MAX_IDLE_SECONDS + 1)
        used = processor_seconds(runner.pid)
        time.sleep(IDLE_SECONDS)
        share = (processor_seconds(runner.pid) - used) / IDLE_SECONDS
        print(f"idle worker  {share:7.1%} of a core, without a runner")
    finally:
        runner.terminate()
        runner.wait()


def processor_seconds(pid: int) -> float:
    """Return what a process and its children have used."""
    ticks = 0
    listed = subprocess.run(["ps", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True)
    pairs = [tuple(map(int, line.split())) for line in listed.stdout.splitlines()]
    for child in [pid, *(one for one, parent in pairs if parent == pid)]:
        with open(f"/proc/{child}/stat") as stat:  # noqa: PTH123
            fields = stat.read().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure them."""
    call_command("migrate", verbosity=0)
    key = lifecycle.create(
        environment=Environment.PRODUCTION,
        actor=Actor(Source.SYSTEM, "benchmark"),
        name="Bench",
        permissions=list(Permission),
    ).key
    measure_jobs(key)


if __name__ == "__main__":
    main()
