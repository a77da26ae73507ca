"""Job types. A type is a decorated generator function::

    @job_type("customers.count", params=CountParams, permissions=(Permission.CUSTOMERS_READ,))
    def count_customers(work: Work) -> Steps:
        yield Step(done=0, total=1)
        return {"count": Customer.objects.visible_to(work.key).count()}

The code up to each ``yield`` runs in one transaction, committed with the progress and the
``state`` it yields. After a crash, the function is called again with the last committed state.
Keep a step short: on SQLite it blocks all other writers. Filter by ``visible_to(work.key)`` in
every step: the key's access may shrink meanwhile.
"""

import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Generator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.utils.module_loading import import_string

from apikeys.guard.serializers import StrictSerializer
from apikeys.models import ApiKey
from apikeys.permissions import Permission
from audit.actors import Actor, Source
from jobs.models import Job
from jobs.tasks.options import configured_backends

MAX_FILE_BYTES = 50 * 1024 * 1024


class JobFailed(Exception):
    """The job must not be retried; the message is two sentences for its caller."""


@dataclass(frozen=True)
class Failure:
    """Why an attempt ended. Only tasks keep the class and the traceback of an exception."""

    message: str
    is_final: bool = False
    exception: str = ""
    traceback: str = ""


@dataclass(frozen=True)
class Step:
    """Progress to commit; ``state`` is where to resume, ``part`` is appended to the result file."""

    done: int
    total: int | None = None
    message: str = ""
    state: Mapping[str, Any] = field(default_factory=dict)
    part: str = ""


Steps = Generator[Step, None, Any]
Call = Callable[[], Any]


@dataclass(frozen=True)
class Work:
    """The context of a running job, which acts with the permissions of ``key``."""

    key: ApiKey
    actor: Actor
    params: Mapping[str, Any]
    state: Mapping[str, Any]
    done: int


@dataclass(frozen=True, kw_only=True)
class RunnableType(ABC):
    """What a runner can run; ``time_limit`` is in seconds for each attempt."""

    name: str
    time_limit: float
    attempts: int

    @property
    @abstractmethod
    def queues(self) -> Collection[str]:
        """The queues that its jobs may be in."""

    @abstractmethod
    def begin(self, job: Job) -> "Steps | Call":
        """Return the steps of a claimed job, or a function that is called outside transactions."""

    @abstractmethod
    def failure(self, error: BaseException) -> Failure:
        """Return what is recorded of an exception."""

    @abstractmethod
    def ended(self, job: Job) -> None:
        """React to the end of an attempt, after it was recorded."""


@dataclass(frozen=True, kw_only=True)
class JobType(RunnableType):
    """A declared type, which keys can submit."""

    run: Callable[[Work], Steps]
    params: type[StrictSerializer]
    permissions: tuple[Permission, ...]
    queue: str
    file_name: str
    file_type: str

    @property
    def queues(self) -> Collection[str]:
        return (self.queue,)

    def begin(self, job: Job) -> Steps:
        actor = Actor(source=Source.API, name=f"key {job.key_id}, job {job.pk}")
        return self.run(Work(job.key, actor, job.params, job.state, job.done))

    def failure(self, error: BaseException) -> Failure:
        # The database's own message is for the operator's log alone.
        is_database = isinstance(error, DatabaseError | InterfaceError)
        detail = "the database refused a step" if is_database else error
        return Failure(f"{type(error).__name__}: {detail}")

    def ended(self, job: Job) -> None:
        """Do nothing: callers ask for the job."""

    @property
    def summary(self) -> str:
        return (self.run.__doc__ or "").strip().partition("\n")[0]


_types: dict[str, JobType] = {}


def job_type(
    name: str,
    *,
    params: type[StrictSerializer],
    permissions: tuple[Permission, ...] = (),
    time_limit: float = 600,
    attempts: int = 3,
    queue: str = "default",
    file_name: str = "",
    file_type: str = "",
) -> Callable[[Callable[[Work], Steps]], Callable[[Work], Steps]]:
    """Declare a type; one whose steps have parts needs ``file_name`` and ``file_type``."""

    def declare(run: Callable[[Work], Steps]) -> Callable[[Work], Steps]:
        _types[name] = JobType(
            name=name,
            run=run,
            params=params,
            permissions=permissions,
            time_limit=time_limit,
            attempts=attempts,
            queue=queue,
            file_name=file_name,
            file_type=file_type,
        )
        return run

    return declare


@cache
def job_types() -> Mapping[str, JobType]:
    """Return the types of ``jobs.types`` and of ``JOB_TYPE_MODULES`` by name."""
    package = importlib.import_module("jobs.types")
    for module in pkgutil.iter_modules(package.__path__):
        importlib.import_module(f"jobs.types.{module.name}")
    for name in settings.JOB_TYPE_MODULES:
        importlib.import_module(name)
    return _types


def runnable_types() -> Mapping[str, RunnableType]:
    """Return what this process can run: the job types, and the tasks of ``TASKS``."""
    options = configured_backends()
    if not options:
        return job_types()
    # By name, because only those who use tasks have the package that it needs.
    task_type = import_string("jobs.tasks.running.TaskType")
    tasks = [task_type.of(backend) for backend in options]
    return {**job_types(), **{kind.name: kind for kind in tasks}}


def type_permissions(name: str) -> tuple[Permission, ...]:
    kind = job_types().get(name)
    return kind.permissions if kind else ()
