"""The job of the comparison as a task of Celery, acknowledged when it has ended."""

import os

from celery import Celery

from benchmarks.engine_effects import leave

app = Celery("benchmark", broker=os.environ.get("REDIS_URL", ""))
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    # As long as a lease of Latchkey's: the default is an hour. Kombu's manual says to lower the
    # throttle with it.
    broker_transport_options={"visibility_timeout": 15, "unacked_restore_throttle": 1},
)


@app.task(name="leave_effects")
def leave_effects(job: int, steps: int, seconds: float) -> None:
    leave(job, steps, seconds)
