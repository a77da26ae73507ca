"""The processes of a worker: one with the periodic tasks, and a runner for each job at a time."""

import sys
from collections.abc import Callable, Collection
from functools import partial

from apikeys.management.base_command import console
from database.connections.postgresql import limit_waits
from jobs.worker import runner
from jobs.worker.loop import WorkerLoop
from jobs.worker.supervisor import Family, stop_event


def add_worker(family: Family, *, concurrency: int, queues: Collection[str] = ()) -> None:
    """Have ``family`` run a worker of ``queues``, or of all; there is no runner before a job."""
    ask = family.demand.ask if concurrency else None
    # It stores the records of the last requests, which may wait for that.
    family.add("worker", partial(_work, queues, ask), stops_last=True)
    for number in range(concurrency):
        family.add(f"runner {number + 1}", partial(runner.main, queues), on_demand=True)


def _work(queues: Collection[str], ask: Callable[[], object] | None) -> None:
    stopping = stop_event()
    limit_waits()
    terminal = console(sys.stderr)
    loop = WorkerLoop(queues=queues, ask=ask)
    if terminal.is_terminal:
        with terminal.status("Starting") as status:
            loop.run(stopping, tell=status.update)
    else:
        loop.run(stopping)
