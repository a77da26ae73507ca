"""The app's tables."""

from jobs.models.jobs import Job, JobAttempt, JobFilePart, JobStatus
from jobs.models.notices import ExpiryNotice
from jobs.models.workers import Worker

__all__ = ["ExpiryNotice", "Job", "JobAttempt", "JobFilePart", "JobStatus", "Worker"]
