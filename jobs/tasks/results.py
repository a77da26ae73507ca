"""A job as the result of its task."""

from typing import Any

from django.utils.dateparse import parse_datetime
from django.utils.module_loading import import_string
from django_tasks.base import Task, TaskError, TaskResult, TaskResultStatus
from django_tasks.exceptions import InvalidTaskError
from django_tasks.utils import get_module_path

from jobs.models import Job, JobStatus

STATUSES = {
    JobStatus.QUEUED: TaskResultStatus.READY,
    JobStatus.FAILED: TaskResultStatus.READY,
    JobStatus.RUNNING: TaskResultStatus.RUNNING,
    JobStatus.SUCCEEDED: TaskResultStatus.SUCCESSFUL,
    JobStatus.DEAD: TaskResultStatus.FAILED,
    JobStatus.CANCELLED: TaskResultStatus.FAILED,
}


class AttemptEnded(Exception):
    """An attempt ended without an exception: the worker was lost, or the job was cancelled."""


def result_of(job: Job, alias: str) -> TaskResult[Any]:
    # A released attempt has the number of the next one, which replaces it.
    attempts = {attempt.number: attempt for attempt in job.attempts.order_by("id")}
    attempts = {number: one for number, one in attempts.items() if number <= job.attempt}
    ended = get_module_path(AttemptEnded)
    result: TaskResult[Any] = TaskResult(
        task=_task_of(job, alias),
        id=str(job.pk),
        status=STATUSES[JobStatus(job.status)],
        enqueued_at=job.queued_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        last_attempted_at=max((one.started_at for one in attempts.values()), default=None),
        args=job.params["args"],
        kwargs=job.params["kwargs"],
        backend=alias,
        errors=[
            TaskError(
                exception_class_path=one.exception or ended, traceback=one.traceback or one.error
            )
            for one in attempts.values()
            if one.error
        ],
        worker_ids=[one.worker for one in attempts.values()],
    )
    if job.status == JobStatus.SUCCEEDED:
        object.__setattr__(result, "_return_value", job.result)
    return result


def find_task(path: str) -> Task[..., Any]:
    """Return the task that a worker imports by its path; raise ``InvalidTaskError``."""
    try:
        task = import_string(path)
    except ImportError as error:
        raise InvalidTaskError(f"{path} cannot be imported, {error}. Move the task.") from error
    if not isinstance(task, Task):
        raise InvalidTaskError(f"{path} is not a task. Decorate the function with @task.")
    return task


def _task_of(job: Job, alias: str) -> Task[..., Any]:
    run_after = job.params.get("run_after")
    task = find_task(job.params["task"]).using(
        backend=alias, priority=job.priority, queue_name=job.queue
    )
    return task.using(run_after=parse_datetime(run_after)) if run_after else task
