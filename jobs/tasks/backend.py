"""The backend that ``TASKS`` names: it queues a job, and reads jobs as results."""

import inspect
from typing import Any
from uuid import UUID

from django_tasks.backends.base import BaseTaskBackend
from django_tasks.base import Task, TaskResult
from django_tasks.exceptions import InvalidTaskError, TaskResultDoesNotExist
from django_tasks.signals import task_enqueued
from django_tasks.utils import normalize_json

from database.fields import object_text
from jobs import queue
from jobs.models import Job
from jobs.tasks.options import configured_backends
from jobs.tasks.results import find_task, result_of
from jobs.tasks.running import TaskType


class JobBackend(BaseTaskBackend):
    """Runs tasks as jobs without a key."""

    supports_defer = True
    supports_async_task = True
    supports_get_result = True
    supports_priority = True

    def validate_task(self, task: Task[..., Any]) -> None:
        super().validate_task(task)
        if inspect.isasyncgenfunction(task.func):
            raise InvalidTaskError("A task may not be an asynchronous generator. Use def.")
        if inspect.isgeneratorfunction(task.func) and not task.takes_context:
            raise InvalidTaskError(
                "A generator needs the context, or it could not resume. Set takes_context=True."
            )

    def enqueue(self, task: Task[..., Any], args: Any, kwargs: Any) -> TaskResult[Any]:
        """Queue the job in the caller's transaction."""
        self.validate_task(task)
        if find_task(task.module_path).func is not task.func:
            raise InvalidTaskError(f"{task.module_path} is another task. Rename one of them.")
        params = {
            "task": task.module_path,
            "args": normalize_json(list(args)),
            "kwargs": normalize_json(dict(kwargs)),
        }
        if task.run_after is not None:
            params["run_after"] = task.run_after.isoformat()
        try:
            object_text(params).encode()
        except ValueError as error:
            raise ValueError(f"An argument cannot be stored, {error}. Pass JSON's types.") from None
        (options,) = (one for one in configured_backends() if one.alias == self.alias)
        job = queue.submit_task(
            TaskType.of(options),
            params,
            queue=task.queue_name,
            priority=task.priority,
            run_at=task.run_after,
        )
        result = result_of(job, self.alias)
        task_enqueued.send(type(self), task_result=result)
        return result

    def get_result(self, result_id: str) -> TaskResult[Any]:
        try:
            identifier = UUID(result_id)
        except ValueError:
            raise TaskResultDoesNotExist(result_id) from None
        types = [one.type_name for one in configured_backends() if one.alias == self.alias]
        job = Job.objects.filter(pk=identifier, key=None, type__in=types).first()
        if job is None:
            raise TaskResultDoesNotExist(result_id)
        return result_of(job, self.alias)
