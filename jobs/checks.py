"""The system check for ``JOB_TYPE_MODULES``."""

from typing import Any

from django.core.checks import Error, register

from apikeys.checks import TAG
from jobs.registry import job_types


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
