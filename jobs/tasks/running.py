"""How a runner runs a task.

A plain function is called outside transactions, as its author wrote it: after a crash it is called
again. A generator function yields ``Step`` as job types do, and resumes from its last step.
"""

import inspect
import json
import logging
import re
import traceback
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import DatabaseError, InterfaceError
from django_tasks import TaskContext, task_backends
from django_tasks.signals import task_finished, task_started
from django_tasks.utils import get_module_path, normalize_json

from jobs.models import Job
from jobs.models.jobs import ENDED
from jobs.registry import Call, Failure, RunnableType, Step, Steps
from jobs.tasks.options import BackendOptions
from jobs.tasks.results import result_of

logger = logging.getLogger(__name__)

# PostgreSQL's jsonb stores neither NUL nor half of a surrogate pair.
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class NotStorable(Exception):
    """A value cannot be stored; the cause says why. Another attempt would have the same one."""


@dataclass(frozen=True, kw_only=True)
class JobContext(TaskContext):
    """The context of a task, with what its last step left."""

    state: Mapping[str, Any] = field(default_factory=dict)
    done: int = 0


@dataclass(frozen=True, kw_only=True)
class TaskType(RunnableType):
    """The tasks of one backend."""

    alias: str
    queue_names: tuple[str, ...]

    @classmethod
    def of(cls, backend: BackendOptions) -> "TaskType":
        return cls(
            name=backend.type_name,
            time_limit=backend.time_limit,
            attempts=backend.attempts,
            alias=backend.alias,
            queue_names=backend.queues,
        )

    @property
    def queues(self) -> Collection[str]:
        return self.queue_names

    def begin(self, job: Job) -> Steps | Call:
        result = result_of(job, self.alias)
        task, args = result.task, result.args
        task_started.send_robust(type(task_backends[self.alias]), task_result=result)
        if task.takes_context:
            args = [JobContext(task_result=result, state=job.state, done=job.done), *args]
        if inspect.isgeneratorfunction(task.func):
            return _storable_steps(task.func(*args, **result.kwargs))
        return lambda: storable(task.call(*args, **result.kwargs))

    def failure(self, error: BaseException) -> Failure:
        is_final = isinstance(error, NotStorable)
        cause = (error.__cause__ or error) if is_final else error
        # The database's own message is for the operator's log alone.
        is_database = isinstance(cause, DatabaseError | InterfaceError)
        detail = "the database refused a statement" if is_database else cause
        path = get_module_path(type(cause))
        message = f"{path.removeprefix('builtins.')}: {detail}"
        frames = "".join(traceback.format_tb(cause.__traceback__))
        return Failure(message, is_final, path, f"{frames}{message}\n")

    def ended(self, job: Job) -> None:
        """Send ``task_finished`` if that was the last attempt."""
        try:
            stored = Job.objects.filter(pk=job.pk, status__in=ENDED).first()
            if stored is not None:
                result = result_of(stored, self.alias)
                task_finished.send_robust(type(task_backends[self.alias]), task_result=result)
        except Exception:
            # The outcome is recorded: nothing here may end the runner.
            logger.exception("task_finished was not sent for job %s", job.pk)


def storable(value: Any) -> Any:
    """Return a value in JSON's types, as both databases store it; raise ``NotStorable``."""
    try:
        plain = _cleaned(normalize_json(value))
        json.dumps(plain, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise NotStorable from error
    return plain


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_cleaned(name): _cleaned(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_cleaned(inner) for inner in value]
    return value


def _storable_steps(steps: Steps) -> Steps:
    while True:
        try:
            step = next(steps)
        except StopIteration as ended:
            return storable(ended.value)
        if not isinstance(step, Step) or step.part:
            fault = TypeError("A task yields steps without a part of a file. Yield Step(…).")
            raise NotStorable from fault
        yield replace(step, state=storable(step.state))
