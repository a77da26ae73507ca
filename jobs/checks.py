"""The system checks for ``JOB_TYPE_MODULES`` and ``TASKS``."""

from typing import Any

from django.core.checks import Error, register

from apikeys.checks import TAG
from jobs.registry import job_types
from jobs.tasks import options


@register(TAG, deploy=True)
def check_job_types(**_: Any) -> list[Error]:
    try:
        job_types()
    except (ImportError, TypeError, ValueError) as error:
        return [
            Error(
                f"JOB_TYPE_MODULES names a module that cannot be imported, {error}.",
                hint="Correct the name, or install what it needs.",
                id="jobs.E001",
            )
        ]
    return []


@register(TAG, deploy=True)
def check_tasks(**kwargs: Any) -> list[Error]:
    errors = []
    for fault in options.faults():
        wrong, _, remedy = fault.partition(". ")
        errors.append(Error(f"{wrong}.", hint=remedy, id="jobs.E002"))
    return errors
