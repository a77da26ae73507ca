"""The app's tables."""

from jobs.models.expiry_notices import ExpiryNotice
from jobs.models.jobs import (
    Job,
    JobAct,
    JobAttempt,
    JobCustomer,
    JobEvent,
    JobFilePart,
    JobStatus,
)
from jobs.models.workers import Worker

__all__ = [
    "ExpiryNotice",
    "Job",
    "JobAct",
    "JobAttempt",
    "JobCustomer",
    "JobEvent",
    "JobFilePart",
    "JobStatus",
    "Worker",
]
