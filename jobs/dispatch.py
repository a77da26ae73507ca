"""The life of a job: every change to one is made here, locked and checked.

A runner claims a job and holds its lease; whatever it writes is conditional on that lease, and
is committed together with the effects it stands for. A lease that is not renewed lapses, and
the job is tried again.
"""

import secrets
import uuid
from collections.abc import Collection, Iterable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from apikeys.audit import Actor
from apikeys.models import ApiKey
from apikeys.permissions import Permission
from apikeys.rules import Refused
from jobs.models import (
    Job,
    JobAct,
    JobAttempt,
    JobCustomer,
    JobEvent,
    JobFilePart,
    JobStatus,
)
from jobs.models.jobs import ENDED, WAITING
from jobs.registry import MOST_FILE_BYTES, JobFailed, JobType, Step, job_types
from logs import redaction

_chance = secrets.SystemRandom()

FIRST_DELAY = 2.0
LONGEST_DELAY = 3600.0
LONGEST_ERROR = 1000
LOST = "The worker was lost: it was killed, ran out of memory or took too long."
STOPPED = "Cancelled while it was running."
PRUNED_AT_ONCE = 100


class Conflict(Refused):
    """The job is not where it would have to be. Two sentences: what is wrong, what to do."""


class LeaseLost(Exception):
    """The job belongs to another runner, or to none; nothing of the step may stay."""


class CancelRequested(Exception):
    """Somebody wants the job to stop; nothing of the step may stay."""


class Withdrawn(Exception):
    """The key may no longer have the job done; the message says why."""


def submit(
    key: ApiKey,
    kind: JobType,
    params: dict[str, Any],
    *,
    customers: Iterable[UUID] = (),
    request_id: str | None = None,
) -> Job:
    """Queue a job for ``key``; ``params`` as they were checked, in JSON's types.

    ``customers`` are those that the parameters name and the key sees. If they name none, the
    job is about those that the key is scoped to.
    """
    with transaction.atomic():
        job = Job.objects.create(
            environment=key.environment,
            key_id=key.pk,
            type=kind.name,
            queue=kind.queue,
            params=params,
            most_attempts=kind.attempts,
            file_name=kind.file_name,
            file_type=kind.file_type,
            request_id=request_id,
        )
        about = list(customers)
        if not about and key.is_scoped:
            about = list(key.scope.values_list("customer_id", flat=True))
        JobCustomer.objects.bulk_create(
            JobCustomer(job=job, customer_id=customer, environment=job.environment)
            for customer in about
        )
    return job


def claim(worker: str, queues: Collection[str] = ()) -> Job | None:
    """Take the job that is due first; None if there is none, or it was cancelled instead."""
    now = timezone.now()
    waiting = Job.objects.due(now)
    if queues:
        waiting = waiting.filter(queue__in=queues)
    # Looked for without a lock: an idle runner must not take SQLite's one write lock each time.
    if not waiting.exists():
        return None
    with transaction.atomic():
        job = _lock_first(waiting)
        if job is None:
            return None
        # Locked, so that of a revoke and this start one comes first.
        key = ApiKey.objects.select_for_update().get(pk=job.key_id)
        if reason := refusal(key, job.type):
            _end(job, JobStatus.CANCELLED, reason=f"{reason} before the job started.")
            return None
        job.status = JobStatus.RUNNING
        job.lease, job.lease_until = uuid.uuid4(), _lease_end(now)
        job.worker, job.attempt = worker, job.attempt + 1
        job.started_at, job.finished_at = job.started_at or now, None
        job.cancel_requested_at = None
        job.save()
        JobAttempt.objects.create(job=job, number=job.attempt, worker=worker, started_at=now)
        job.key = key
        return job


def _lock_first(waiting: "QuerySet[Job]") -> Job | None:
    """Return the job that is due first, locked; those that are tried again before the others.

    One status at a time: each is the beginning of an index, however many wait.
    """
    for status in (JobStatus.FAILED, JobStatus.QUEUED):
        rows = waiting.filter(status=status).order_by("run_at", "pk")
        job = rows.select_for_update(skip_locked=True).first()
        if job is not None:
            return job
    return None


def refusal(key: ApiKey, type_name: str) -> str:
    """Return the beginning of why ``key`` may not have the job done now; blank if it may."""
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
    """Read the job's key anew; raise ``Withdrawn`` if it may not go on with the job."""
    job.key.refresh_from_db()
    if reason := refusal(job.key, job.type):
        raise Withdrawn(f"{reason} while the job ran.")


def checkpoint(job: Job, step: Step) -> None:
    """Commit progress with the step's effects; within the step's transaction."""
    now = timezone.now()
    job.done, job.total = step.done, step.total if step.total is not None else job.total
    job.message, job.state = redaction.line(step.message)[:300], dict(step.state)
    if step.part:
        job.file_bytes += len(step.part.encode())
        if job.file_bytes > MOST_FILE_BYTES:
            raise JobFailed(
                f"The result is larger than {MOST_FILE_BYTES:,} bytes. Ask for a part of it."
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
        lease_until=_lease_end(now),
    )


def complete(job: Job, result: Any) -> None:
    """Commit success with the last effects; within the last step's transaction."""
    now = timezone.now()
    _write(job, status=JobStatus.SUCCEEDED, result=result, lease=None, lease_until=None,
           finished_at=now, message="")  # fmt: skip
    _end_attempt(job, now, "")


def fail(job: Job, error: str, *, is_final: bool = False) -> None:
    """Record a failed attempt: try again later, or give up."""
    with transaction.atomic():
        found = _leased(job)
        if found is not None:
            _fail(found, error, is_final=is_final)


def stop(job: Job, reason: str = STOPPED) -> None:
    """End a running job that somebody cancelled, or whose key may no longer have it done."""
    with transaction.atomic():
        found = _leased(job)
        if found is not None:
            _end_attempt(found, timezone.now(), reason)
            _end(found, JobStatus.CANCELLED, reason=reason)


def release(job: Job) -> None:
    """Give a job back that the runner has no time to finish; it goes on where it was."""
    with transaction.atomic():
        found = _leased(job)
        if found is not None:
            _end_attempt(found, timezone.now(), "The worker was told to stop.")
            found.status, found.run_at = JobStatus.QUEUED, timezone.now()
            found.lease = found.lease_until = None
            found.attempt -= 1
            found.save()


def renew(job: Job) -> datetime | None:
    """Hold the lease for longer; return when somebody asked to cancel, if so.

    Raises ``LeaseLost``.
    """
    mine = Job.objects.filter(pk=job.pk, lease=job.lease, status=JobStatus.RUNNING)
    if not mine.update(lease_until=_lease_end(timezone.now())):
        raise LeaseLost
    return mine.values_list("cancel_requested_at", flat=True).first()


def recover(now: datetime) -> int:
    """Try jobs again whose lease has lapsed; return how many."""
    count = 0
    for pk in list(Job.objects.lost(now).values_list("pk", flat=True)):
        with transaction.atomic():
            job = Job.objects.lost(now).select_for_update(skip_locked=True).filter(pk=pk).first()
            if job is None:
                continue
            if job.cancel_requested_at is not None:
                _end_attempt(job, now, STOPPED)
                _end(job, JobStatus.CANCELLED, reason=STOPPED)
            else:
                _fail(job, LOST)
            count += 1
    return count


def cancel(job: Job, *, actor: Actor, reason: str) -> Job:
    """Cancel a waiting job at once; ask a running one to stop."""
    with transaction.atomic():
        found = Job.objects.select_for_update().get(pk=job.pk)
        if found.status in ENDED:
            raise Conflict(f"The job has {found.status} already. There is nothing to cancel.")
        if found.status in WAITING:
            _end(found, JobStatus.CANCELLED, reason=reason)
        elif found.cancel_requested_at is None:
            found.cancel_requested_at = timezone.now()
            found.save(update_fields=["cancel_requested_at"])
        _record(found, JobAct.CANCELLED, actor)
    return found


def retry(job: Job, *, actor: Actor) -> Job:
    """Queue a dead or cancelled job again, with as many attempts as its type has."""
    with transaction.atomic():
        found = Job.objects.select_for_update().get(pk=job.pk)
        if found.status not in (JobStatus.DEAD, JobStatus.CANCELLED, JobStatus.FAILED):
            raise Conflict(f"A job that is {found.status} is not tried again. Submit another.")
        kind = job_types().get(found.type)
        found.status, found.run_at, found.reason = JobStatus.QUEUED, timezone.now(), ""
        found.most_attempts = found.attempt + (kind.attempts if kind else 1)
        found.finished_at = None
        found.save()
        _record(found, JobAct.RETRIED, actor)
    return found


def prune(now: datetime) -> int:
    """Delete jobs that ended over ``JOB_RETENTION_DAYS`` ago, with their files; return how many."""
    instant = now - timedelta(days=settings.JOB_RETENTION_DAYS)
    total = 0
    while True:
        with transaction.atomic():
            # Locked, so that none is queued anew while it goes.
            ended = Job.objects.ended_before(instant).select_for_update(skip_locked=True)
            ids = list(ended.values_list("pk", flat=True)[:PRUNED_AT_ONCE])
            Job.objects.filter(pk__in=ids).delete()
        total += len(ids)
        if len(ids) < PRUNED_AT_ONCE:
            return total


def _record(job: Job, act: JobAct, actor: Actor) -> None:
    JobEvent.objects.create(
        job=job, act=act, door=actor.door, actor_name=actor.name, address=actor.address
    )


def _lease_end(now: datetime) -> datetime:
    return now + timedelta(seconds=settings.JOB_LEASE_SECONDS)


def _write(job: Job, **values: Any) -> None:
    """Update a job that is still this runner's and that nobody wants cancelled."""
    mine = Job.objects.filter(pk=job.pk, lease=job.lease, status=JobStatus.RUNNING)
    if mine.filter(cancel_requested_at=None).update(**values):
        return
    raise CancelRequested if mine.exists() else LeaseLost


def _leased(job: Job) -> Job | None:
    mine = Job.objects.filter(pk=job.pk, lease=job.lease, status=JobStatus.RUNNING)
    return mine.select_for_update().first()


def _fail(job: Job, error: str, *, is_final: bool = False) -> None:
    now = timezone.now()
    _end_attempt(job, now, error)
    if is_final or job.attempt >= job.most_attempts:
        _end(job, JobStatus.DEAD, reason=redaction.line(error)[:500])
        return
    delay = min(FIRST_DELAY * 2 ** (job.attempt - 1), LONGEST_DELAY)
    # Spread, so that what failed together is not tried together.
    delay *= _chance.uniform(0.5, 1.0)
    job.status, job.run_at = JobStatus.FAILED, now + timedelta(seconds=delay)
    job.lease = job.lease_until = None
    job.save()


def _end(job: Job, status: JobStatus, *, reason: str) -> None:
    job.status, job.reason, job.finished_at = status, reason, timezone.now()
    job.lease = job.lease_until = None
    job.save()


def _end_attempt(job: Job, now: datetime, error: str) -> None:
    JobAttempt.objects.filter(job=job, number=job.attempt, finished_at=None).update(
        finished_at=now, error=redaction.line(error)[:LONGEST_ERROR]
    )
