"""The app's tables."""

from jobs.models.jobs import (
    Job,
    JobAttempt,
    JobCustomer,
    JobFilePart,
    JobStatus,
)
from jobs.models.workers import Worker

__all__ = [
    "Job",
    "JobAttempt",
    "JobCustomer",
    "JobFilePart",
    "JobStatus",
    "Worker",
]
