"""The app's tables."""

from jobs.models.expiry_notices import ExpiryNotice
from jobs.models.jobs import (
    Job,
    JobAction,
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
    "JobAction",
    "JobAttempt",
    "JobCustomer",
    "JobEvent",
    "JobFilePart",
    "JobStatus",
    "Worker",
]
