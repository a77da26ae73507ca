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
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from django.conf import settings

from apikeys.guard.serializers import StrictSerializer
from apikeys.models import ApiKey
from apikeys.permissions import Permission
from audit.actors import Actor

MAX_FILE_BYTES = 50 * 1024 * 1024


class JobFailed(Exception):
    """The job must not be retried; the message is two sentences for its caller."""


@dataclass(frozen=True)
class Step:
    """Progress to commit; ``state`` is where to resume, ``part`` is appended to the result file."""

    done: int
    total: int | None = None
    message: str = ""
    state: Mapping[str, Any] = field(default_factory=dict)
    part: str = ""


Steps = Generator[Step, None, Any]


@dataclass(frozen=True)
class Work:
    """The context of a running job, which acts with the permissions of ``key``."""

    key: ApiKey
    actor: Actor
    params: Mapping[str, Any]
    state: Mapping[str, Any]
    done: int


@dataclass(frozen=True)
class JobType:
    """A declared type; ``time_limit`` is in seconds for each attempt."""

    name: str
    run: Callable[[Work], Steps]
    params: type[StrictSerializer]
    permissions: tuple[Permission, ...]
    time_limit: float
    attempts: int
    queue: str
    file_name: str
    file_type: str

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
            name, run, params, permissions, time_limit, attempts, queue, file_name, file_type
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


def type_permissions(name: str) -> tuple[Permission, ...]:
    kind = job_types().get(name)
    return kind.permissions if kind else ()
