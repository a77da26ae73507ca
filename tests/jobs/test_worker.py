"""The worker's loop."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from database.periodic_tasks import PeriodicTask, declared
from jobs.models import Worker
from jobs.worker import loop as worker_loop
from jobs.worker.loop import WorkerLoop

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def a_spool_of_its_own(settings: Any, tmp_path: Path) -> None:
    """A loop ships what is in the spool before it ends: nothing that other tests left there."""
    settings.LOG_SPOOL = tmp_path / "spool"


@pytest.fixture(autouse=True)
def no_thread_is_left(transactional_db: None) -> Iterator[None]:
    """Wait for the threads that a loop does not wait for, before the database is emptied."""
    yield
    for thread in threading.enumerate():
        if thread.name in ("maintenance", "announcing"):
            thread.join(10)
            assert not thread.is_alive()


def run_until(loop: WorkerLoop, condition: threading.Event) -> None:
    stopping = threading.Event()

    def work() -> None:
        loop.run(stopping)
        connections.close_all()

    thread = threading.Thread(target=work)
    thread.start()
    assert condition.wait(10)
    stopping.set()
    thread.join(10)
    assert not thread.is_alive()


def test_it_says_that_it_lives_and_leaves_no_trace_when_told_to_stop() -> None:
    loop, seen = WorkerLoop(), threading.Event()
    living: list[int] = []

    def look(now: object) -> None:
        living.append(Worker.objects.count())
        seen.set()

    loop._tasks.append(PeriodicTask("a look around", 60, look))
    run_until(loop, seen)

    assert living == [1]
    assert Worker.objects.count() == 0


def test_the_work_that_apps_declare_is_done() -> None:
    assert {task.name: task.thread for task in declared("periodic_tasks")} == {
        "sweep of the rate-limit counters": "maintenance",
        "pruning of idempotency keys": "maintenance",
        "making of partitions of the request log": "maintenance",
        "pruning of request logs": "maintenance",
        "pruning of networks and peaks": "maintenance",
        "expiry of hand-over links": "maintenance",
        "pruning of jobs": "maintenance",
        "pruning of sessions": "maintenance",
        "cancelling of jobs of unknown types": "maintenance",
        "pruning of workers": "maintenance",
        "sending of alerts": "alerting",
    }
    assert [function.__module__ for function in declared("worker_threads")] == [
        "logs.shipping.shipper"
    ]


def test_a_task_that_fails_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    loop, done = WorkerLoop(), threading.Event()
    tries: list[int] = []

    def fail(now: object) -> None:
        tries.append(1)
        raise RuntimeError("a defect")

    def go_on(now: object) -> None:
        if len(tries) >= 2:
            done.set()

    # Alone, because the others wait for the database.
    loop._tasks[:] = [
        PeriodicTask("a failing duty", 0.05, fail),
        PeriodicTask("another", 0.05, go_on),
    ]
    run_until(loop, done)

    assert "a failing duty failed" in caplog.text


def test_a_mail_server_that_hangs_and_a_long_prune_hold_up_no_recovery() -> None:
    loop, seen, release = WorkerLoop(), threading.Event(), threading.Event()
    held: set[str] = set()
    looks: list[int] = []

    def hold(name: str) -> PeriodicTask:
        def wait(now: object) -> None:
            held.add(name)
            release.wait(20)

        return PeriodicTask(name, 60, wait)

    def look(now: object) -> None:
        looks.append(len(held))
        if looks.count(2) == 3:
            seen.set()

    loop._threads["announcing"] = [hold("mail")]
    loop._threads["maintenance"] = [hold("prune")]
    loop._tasks.append(PeriodicTask("recovery", 0.05, look))
    try:
        run_until(loop, seen)
    finally:
        release.set()

    assert held == {"mail", "prune"}


def test_an_outage_is_one_line_and_no_traceback(caplog: pytest.LogCaptureFixture) -> None:
    def fail(now: object) -> None:
        raise worker_loop.DatabaseError("server\nis gone")

    worker_loop._do(PeriodicTask("shipping", 1, fail))

    assert "shipping failed: server is gone" in caplog.text
    assert "Traceback" not in caplog.text
