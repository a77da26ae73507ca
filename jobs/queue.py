"""What is done to a job from outside: asked for, claimed, cancelled, tried again, pruned.

Each locks the row and checks it first. What its runner does is ``jobs.leases``.
"""

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
from database import bulk_sql
from database.refusals import Conflict
from jobs import leases
from jobs.models import (
    Job,
    JobAction,
    JobAttempt,
    JobCustomer,
    JobEvent,
    JobStatus,
)
from jobs.models.jobs import ENDED, WAITING
from jobs.registry import JobType, job_types

PRUNED_AT_ONCE = 100
UNKNOWN_FOR = timedelta(days=1)


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
        about = list(customers)
        if not about and key.is_scoped:
            about = list(key.scope.values_list("customer_id", flat=True))
        job = Job.objects.create(
            environment=key.environment,
            key_id=key.pk,
            type=kind.name,
            queue=kind.queue,
            params=params,
            max_attempts=kind.attempts,
            file_name=kind.file_name,
            file_type=kind.file_type,
            request_id=request_id,
            customer_count=len(about) if about or key.is_scoped else None,
        )
        # There may be thousands, and the request has a second.
        table = JobCustomer._meta.db_table
        bulk_sql.run(
            f"INSERT INTO {table} (job_id, customer_id, environment)"  # noqa: S608
            " SELECT job_id, customer_id, environment FROM {given}",
            {"job_id": "uuid", "customer_id": "uuid", "environment": "text"},
            [(job.pk.hex, customer.hex, job.environment) for customer in about],
        )
    return job


def claim(worker: str, queues: Collection[str] = ()) -> Job | None:
    """Take the job that is due first, None if there is none; cancel what its key may not have."""
    while True:
        now = timezone.now()
        # Others are for workers of another version, while one takes the other's place.
        waiting = Job.objects.due(now).filter(type__in=list(job_types()))
        if queues:
            waiting = waiting.filter(queue__in=queues)
        # Looked for without a lock: an idle runner must not take SQLite's one write lock.
        if not waiting.exists():
            return None
        with transaction.atomic():
            job = _lock_first(waiting)
            if job is None:
                return None
            # Locked, so that of a revoke and this start one comes first.
            key = ApiKey.objects.select_for_update().get(pk=job.key_id)
            reason = leases.refusal(key, job.type)
            if not reason:
                return _start(job, key, worker, now)
            # With all that the key has waiting: the others are not kept waiting for each.
            mine = Job.objects.waiting().filter(key=key, type=job.type)
            # One that another runner holds is passed over: it waits for the key's lock.
            held = list(mine.select_for_update(skip_locked=True).values_list("pk", flat=True))
            Job.objects.filter(pk__in=held).update(
                status=JobStatus.CANCELLED,
                reason=f"{reason} before the job started.",
                finished_at=now,
            )


def _start(job: Job, key: ApiKey, worker: str, now: datetime) -> Job:
    """Give a job that is locked to a runner."""
    job.status = JobStatus.RUNNING
    job.lease, job.lease_until = uuid.uuid4(), leases.until(now)
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


def cancel(job: Job, *, actor: Actor, reason: str) -> Job:
    """Cancel a waiting job at once; ask a running one to stop."""
    with transaction.atomic():
        found = _locked(job)
        if found.status in ENDED:
            raise Conflict(f"The job has {found.status} already. There is nothing to cancel.")
        if found.status in WAITING:
            leases.end(found, JobStatus.CANCELLED, reason=reason)
        elif found.cancel_requested_at is None:
            found.cancel_requested_at = timezone.now()
            found.save(update_fields=["cancel_requested_at"])
        _record(found, JobAction.CANCELLED, actor)
    return found


def retry(job: Job, *, actor: Actor, attempt: int | None = None) -> Job:
    """Queue a dead or cancelled job again, with as many attempts as its type has.

    With ``attempt``, refuse unless that is still its last: of two who saw it fail, one retries.
    """
    with transaction.atomic():
        found = _locked(job)
        if found.status not in (JobStatus.DEAD, JobStatus.CANCELLED, JobStatus.FAILED):
            raise Conflict(f"A job that is {found.status} is not tried again. Submit another.")
        if attempt is not None and attempt != found.attempt:
            raise Conflict("The job was tried again meanwhile. Reload the page and look at it.")
        kind = job_types().get(found.type)
        found.status, found.run_at, found.reason = JobStatus.QUEUED, timezone.now(), ""
        found.max_attempts = found.attempt + (kind.attempts if kind else 1)
        found.finished_at = None
        found.save()
        _record(found, JobAction.RETRIED, actor)
    return found


def prune(now: datetime) -> int:
    """Delete jobs that ended over ``JOB_RETENTION_DAYS`` ago, with their files; return how many."""
    timestamp = now - timedelta(days=settings.JOB_RETENTION_DAYS)
    total = 0
    while True:
        with transaction.atomic():
            # Locked, so that none is queued anew while it goes.
            ended = Job.objects.ended_before(timestamp).select_for_update(skip_locked=True)
            ids = list(ended.values_list("pk", flat=True)[:PRUNED_AT_ONCE])
            Job.objects.filter(pk__in=ids).delete()
        total += len(ids)
        if len(ids) < PRUNED_AT_ONCE:
            return total


def cancel_unknown_types(now: datetime) -> int:
    """Cancel what has been due for a day and no worker of this version knows; return how many."""
    unknown = Job.objects.due(now - UNKNOWN_FOR).exclude(type__in=list(job_types()))
    return unknown.update(
        status=JobStatus.CANCELLED,
        reason="No worker knows this type of job. Submit one of the types that the guide lists.",
        finished_at=now,
    )


def _locked(job: Job) -> Job:
    found = Job.objects.select_for_update().filter(pk=job.pk).first()
    if found is None:
        raise Conflict("The job is gone: it ended long ago. Ask for another.")
    return found


def _record(job: Job, action: JobAction, actor: Actor) -> None:
    JobEvent.objects.create(
        job=job, action=action, source=actor.source, actor_name=actor.name, address=actor.address
    )
