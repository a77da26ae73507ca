"""What the setting ``TASKS`` says of Latchkey's backend. It is read without the package itself."""

import importlib.util
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

BACKEND = "jobs.tasks.backend.JobBackend"
# As long as the columns of a job.
MAX_QUEUE_LENGTH = 30
MAX_ALIAS_LENGTH = 44
MAX_ATTEMPTS = 1000
KNOWN = {"TIME_LIMIT", "ATTEMPTS"}


@dataclass(frozen=True)
class BackendOptions:
    """One backend of ``TASKS``."""

    alias: str
    queues: tuple[str, ...]
    time_limit: float
    attempts: int

    @property
    def type_name(self) -> str:
        """The type of its jobs: a worker takes tasks of the backends that its settings have."""
        return f"tasks.{self.alias}"


def configured_backends() -> list[BackendOptions]:
    return [
        BackendOptions(
            alias,
            tuple(backend.get("QUEUES", ["default"])),
            backend.get("OPTIONS", {}).get("TIME_LIMIT", 600),
            backend.get("OPTIONS", {}).get("ATTEMPTS", 3),
        )
        for alias, backend in _own().items()
    ]


def faults() -> Iterator[str]:
    """Yield what is wrong with the setting, two sentences each."""
    own = _own()
    if own and importlib.util.find_spec("django_tasks") is None:
        yield "TASKS needs the package django-tasks. Install it, or remove the setting."
    for alias, backend in own.items():
        for text in (*_option_faults(backend.get("OPTIONS", {})), *_name_faults(alias, backend)):
            yield f"TASKS[{alias!r}] {text}"


def _own() -> dict[str, Mapping[str, Any]]:
    backends: Mapping[str, Mapping[str, Any]] = getattr(settings, "TASKS", {})
    return {
        alias: backend for alias, backend in backends.items() if backend.get("BACKEND") == BACKEND
    }


def _option_faults(options: Mapping[str, Any]) -> Iterator[str]:
    limit, attempts = options.get("TIME_LIMIT", 600), options.get("ATTEMPTS", 3)
    # type(), because a bool is an int too.
    if type(limit) not in (int, float) or not 0 < limit < float("inf"):
        yield f"has the TIME_LIMIT {limit!r}. Set it to a number of seconds above 0."
    if type(attempts) is not int or not 1 <= attempts <= MAX_ATTEMPTS:
        yield f"has the ATTEMPTS {attempts!r}. Set it to a whole number from 1 to {MAX_ATTEMPTS}."
    for name in sorted(options.keys() - KNOWN):
        yield f"has an option {name!r} that does not exist. Use {' and '.join(sorted(KNOWN))}."


def _name_faults(alias: str, backend: Mapping[str, Any]) -> Iterator[str]:
    if len(alias) > MAX_ALIAS_LENGTH:
        yield f"has a long name. Use at most {MAX_ALIAS_LENGTH} characters."
    queues = backend.get("QUEUES", ["default"])
    if isinstance(queues, str) or not queues:
        yield "has no list of QUEUES. Name at least one, or leave QUEUES out."
    elif any(not isinstance(name, str) or len(name) > MAX_QUEUE_LENGTH for name in queues):
        yield f"has a queue that cannot be kept. Use names of {MAX_QUEUE_LENGTH} characters."
