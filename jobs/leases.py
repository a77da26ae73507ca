"""A runner's writes to its job, each conditional on the job's lease.

A write commits together with the step's effects. When a lease expires, the job is retried.
"""

import secrets
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from apikeys.models import ApiKey
from apikeys.permissions import Permission
from jobs.models import Job, JobAttempt, JobFilePart, JobStatus
from jobs.registry import MAX_FILE_BYTES, Failure, JobFailed, Step, job_types
from logs.capture import redaction

_chance = secrets.SystemRandom()

FIRST_DELAY = 2.0
MAX_DELAY = 3600.0
MAX_ERROR_LENGTH = 1000
MAX_EXCEPTION_LENGTH = 300
MAX_TRACEBACK_LENGTH = 20_000
LOST = "The worker was lost: it was killed, ran out of memory or took too long."
STOPPED = "Cancelled while it was running."


class LeaseLost(Exception):
    """The job belongs to another runner, or to none; the step must be rolled back."""


class CancelRequested(Exception):
    """Cancellation was requested; the step must be rolled back."""


class Withdrawn(Exception):
    """The key may no longer run the job; the message says why."""


def refusal(key: ApiKey, type_name: str) -> str:
    """Return the start of a sentence: why ``key`` may not run the job now; blank if it may."""
    kind = job_types().get(type_name)
    if kind is None:
        return "The job type was removed"
    if key.is_revoked:
        return "The key was revoked"
    if key.is_expired():
        return "The key expired"
    for permission in (Permission.JOBS_RUN, *kind.permissions):
        if not key.may(permission):
            return f"The key lost {permission.label}"
    return ""


def require_key(job: Job) -> None:
    """Reload the job's key; raise ``Withdrawn`` if it may no longer run the job."""
    if job.key_id is None:
        return
    job.key.refresh_from_db()
    if reason := refusal(job.key, job.type):
        raise Withdrawn(f"{reason} while the job ran.")


def checkpoint(job: Job, step: Step) -> None:
    """Record progress; called within the step's transaction."""
    now = timezone.now()
    job.done, job.total = step.done, step.total if step.total is not None else job.total
    job.message, job.state = redaction.line(step.message)[:300], dict(step.state)
    if step.part:
        job.file_bytes += len(step.part.encode())
        if job.file_bytes > MAX_FILE_BYTES:
            raise JobFailed(
                f"The result is larger than {MAX_FILE_BYTES:,} bytes. Ask for a part of it."
            )
        number = JobFilePart.objects.filter(job=job).count()
        JobFilePart.objects.create(job=job, number=number, content=step.part)
    _write(
        job,
        done=job.done,
        total=job.total,
        message=job.message,
        state=job.state,
        file_bytes=job.file_bytes,
        lease_until=until(now),
    )


def complete(job: Job, result: Any) -> None:
    now = timezone.now()
    _write(job, status=JobStatus.SUCCEEDED, result=result, lease=None, lease_until=None,
           finished_at=now, message="")  # fmt: skip
    _end_attempt(job, now, "")


def fail(job: Job, failure: Failure) -> None:
    with transaction.atomic():
        leased = _leased(job)
        if leased is not None:
            _fail(leased, failure)


def stop(job: Job, reason: str = STOPPED) -> None:
    """End a running job that was cancelled, or whose key may no longer run it."""
    with transaction.atomic():
        leased = _leased(job)
        if leased is not None:
            _stop(leased, reason)


def release(job: Job) -> None:
    """Put a job back that the runner has no time to finish; it resumes at its last step."""
    with transaction.atomic():
        leased = _leased(job)
        if leased is None:
            return
        if leased.cancel_requested_at is not None:
            _stop(leased, STOPPED)
            return
        _end_attempt(leased, timezone.now(), "The worker was stopped.")
        leased.attempt -= 1
        _give_back(leased, JobStatus.QUEUED, timezone.now())


def renew(job: Job) -> datetime | None:
    """Extend the lease; return when cancellation was requested, None if it was not.

    Raises ``LeaseLost``.
    """
    leased = Job.objects.filter(pk=job.pk, lease=job.lease, status=JobStatus.RUNNING)
    if not leased.update(lease_until=until(timezone.now())):
        raise LeaseLost
    return leased.values_list("cancel_requested_at", flat=True).first()


def recover(now: datetime) -> int:
    count = 0
    for pk in list(Job.objects.lost(now).values_list("pk", flat=True)):
        with transaction.atomic():
            job = Job.objects.lost(now).select_for_update(skip_locked=True).filter(pk=pk).first()
            if job is not None:
                _fail(job, Failure(LOST))
                count += 1
    return count


def until(now: datetime) -> datetime:
    """Return when a lease that starts at ``now`` expires."""
    return now + timedelta(seconds=settings.JOB_LEASE_SECONDS)


def end(job: Job, status: JobStatus, *, reason: str) -> None:
    job.status, job.reason, job.finished_at = status, reason, timezone.now()
    job.lease = job.lease_until = None
    job.save()


def _write(job: Job, **values: Any) -> None:
    """Update the job if this runner still holds its lease and it was not cancelled."""
    leased = Job.objects.filter(pk=job.pk, lease=job.lease, status=JobStatus.RUNNING)
    if leased.filter(cancel_requested_at=None).update(**values):
        return
    raise CancelRequested if leased.exists() else LeaseLost


def _leased(job: Job) -> Job | None:
    rows = Job.objects.filter(pk=job.pk, lease=job.lease, status=JobStatus.RUNNING)
    return rows.select_for_update().first()


def _fail(job: Job, failure: Failure) -> None:
    now = timezone.now()
    if job.cancel_requested_at is not None:
        _stop(job, STOPPED)
        return
    _end_attempt(job, now, failure.message, failure.exception, failure.traceback)
    if failure.is_final or job.attempt >= job.max_attempts:
        end(job, JobStatus.DEAD, reason=redaction.line(failure.message)[:500])
        return
    delay = min(FIRST_DELAY * 2 ** (job.attempt - 1), MAX_DELAY)
    # Jitter, so that jobs that failed together do not retry together.
    delay *= _chance.uniform(0.5, 1.0)
    _give_back(job, JobStatus.FAILED, now + timedelta(seconds=delay))


def _stop(job: Job, reason: str) -> None:
    _end_attempt(job, timezone.now(), reason)
    end(job, JobStatus.CANCELLED, reason=reason)


def _give_back(job: Job, status: JobStatus, run_at: datetime) -> None:
    job.status, job.run_at = status, run_at
    job.lease = job.lease_until = None
    job.save()


def _end_attempt(
    job: Job, now: datetime, error: str, exception: str = "", traceback: str = ""
) -> None:
    JobAttempt.objects.filter(job=job, number=job.attempt, finished_at=None).update(
        finished_at=now,
        error=redaction.line(error)[:MAX_ERROR_LENGTH],
        exception=redaction.line(exception)[:MAX_EXCEPTION_LENGTH],
        traceback="\n".join(map(redaction.line, traceback.split("\n")))[-MAX_TRACEBACK_LENGTH:],
    )
