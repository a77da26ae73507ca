"""Submits, claims, cancels, retries and prunes jobs, each with the row locked before it is checked.

What a runner writes to its own job, and the automatic retry, are in ``jobs.leases``.
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

from apikeys.environments import Environment
from apikeys.models import ApiKey
from audit.actors import Actor
from audit.trail import record
from database import bulk_sql
from database.periodic_tasks import PeriodicTask
from database.refusals import Conflict
from jobs import leases
from jobs.audited import JobAction
from jobs.models import Job, JobAttempt, JobCustomer, JobStatus
from jobs.models.jobs import ENDED, WAITING
from jobs.registry import JobType, RunnableType, job_types, runnable_types

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
    """Queue a job for ``key``; ``params`` are validated, in JSON's types.

    ``customers`` are those that the parameters name, all visible to the key. If they name none,
    the job belongs to the customers of the key's scope.
    """
    with transaction.atomic():
        customer_ids = list(customers)
        if not customer_ids and key.is_scoped:
            customer_ids = list(key.scope.values_list("customer_id", flat=True))
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
            customer_count=len(customer_ids) if customer_ids or key.is_scoped else None,
        )
        # One statement: there may be thousands, and the request has one second.
        table = JobCustomer._meta.db_table
        bulk_sql.run(
            f"INSERT INTO {table} (job_id, customer_id, environment)"  # noqa: S608
            " SELECT job_id, customer_id, environment FROM {given}",
            {"job_id": "uuid", "customer_id": "uuid", "environment": "text"},
            [(job.pk, customer, job.environment) for customer in customer_ids],
        )
    return job


def submit_task(
    kind: RunnableType,
    params: dict[str, Any],
    *,
    queue: str,
    priority: int = 0,
    run_at: datetime | None = None,
) -> Job:
    """Queue a job without a key, in the caller's transaction. No key sees it through the API."""
    now = timezone.now()
    return Job.objects.create(
        environment=Environment.PRODUCTION,
        type=kind.name,
        queue=queue,
        priority=priority,
        params=params,
        max_attempts=kind.attempts,
        queued_at=now,
        run_at=run_at or now,
    )


def has_due(queues: Collection[str] = ()) -> bool:
    """Say whether a job waits that ``claim`` would start."""
    return _due(timezone.now(), queues).exists()


def claim(worker: str, queues: Collection[str] = ()) -> Job | None:
    """Start the job that is due first; cancel waiting jobs whose key may not run them."""
    while True:
        now = timezone.now()
        waiting = _due(now, queues)
        # Checked without a lock: an idle runner must not take SQLite's only write lock.
        if not waiting.exists():
            return None
        with transaction.atomic():
            job = _lock_first(waiting)
            if job is None:
                return None
            if job.key_id is None:
                return _start(job, worker, now)
            # Locked, so that a concurrent revoke comes either before or after this start.
            key = ApiKey.objects.select_for_update().get(pk=job.key_id)
            reason = leases.refusal(key, job.type)
            if not reason:
                job.key = key
                return _start(job, worker, now)
            # All of the key's waiting jobs of this type, so that they do not delay other jobs.
            refused = Job.objects.waiting().filter(key=key, type=job.type)
            # Skip a job that another runner has locked: that runner waits for the key's lock.
            refused_ids = list(
                refused.select_for_update(skip_locked=True).values_list("pk", flat=True)
            )
            Job.objects.filter(pk__in=refused_ids).update(
                status=JobStatus.CANCELLED,
                reason=f"{reason} before the job started.",
                finished_at=now,
            )


def _due(now: datetime, queues: Collection[str]) -> "QuerySet[Job]":
    # During an upgrade, types unknown here are left for workers of the other version.
    waiting = Job.objects.due(now).filter(type__in=list(runnable_types()))
    return waiting.filter(queue__in=queues) if queues else waiting


def _start(job: Job, worker: str, now: datetime) -> Job:
    job.status = JobStatus.RUNNING
    job.lease, job.lease_until = uuid.uuid4(), leases.until(now)
    job.worker, job.attempt = worker, job.attempt + 1
    job.started_at, job.finished_at = job.started_at or now, None
    job.cancel_requested_at = None
    job.save()
    JobAttempt.objects.create(job=job, number=job.attempt, worker=worker, started_at=now)
    return job


def _lock_first(waiting: "QuerySet[Job]") -> Job | None:
    """Return the job that is due first, locked; retries come before new jobs.

    Among either, a higher priority comes first.

    One status at a time: each query reads the start of an index, however many jobs wait.
    """
    for status in (JobStatus.FAILED, JobStatus.QUEUED):
        rows = waiting.filter(status=status).order_by("-priority", "run_at", "pk")
        job = rows.select_for_update(skip_locked=True).first()
        if job is not None:
            return job
    return None


def cancel(job: Job, *, actor: Actor, reason: str) -> Job:
    """Cancel a waiting job at once; ask a running one to stop."""
    with transaction.atomic():
        locked = _locked(job)
        if locked.status in ENDED:
            raise Conflict(f"The job has {locked.status} already. There is nothing to cancel.")
        if locked.status in WAITING:
            leases.end(locked, JobStatus.CANCELLED, reason=reason)
        elif locked.cancel_requested_at is None:
            locked.cancel_requested_at = timezone.now()
            locked.save(update_fields=["cancel_requested_at"])
        record(locked, JobAction.CANCELLED, actor)
    return locked


def retry(job: Job, *, actor: Actor, attempt: int | None = None) -> Job:
    """Queue a dead or cancelled job again, with as many attempts as its type has.

    With ``attempt``, refuse unless it is still the last one: of two simultaneous retries, the
    second is a conflict.
    """
    with transaction.atomic():
        locked = _locked(job)
        if locked.status not in (JobStatus.DEAD, JobStatus.CANCELLED, JobStatus.FAILED):
            raise Conflict(f"A job that is {locked.status} is not tried again. Submit another.")
        if attempt is not None and attempt != locked.attempt:
            raise Conflict("The job was tried again meanwhile. Reload the page and check it.")
        kind = runnable_types().get(locked.type)
        locked.status, locked.run_at, locked.reason = JobStatus.QUEUED, timezone.now(), ""
        locked.max_attempts = locked.attempt + (kind.attempts if kind else 1)
        locked.finished_at = None
        locked.save()
        record(locked, JobAction.RETRIED, actor)
    return locked


def prune(now: datetime) -> int:
    timestamp = now - timedelta(days=settings.JOB_RETENTION_DAYS)
    total = 0
    while True:
        with transaction.atomic():
            # Locked, so that none is retried while it is deleted.
            ended = Job.objects.ended_before(timestamp).select_for_update(skip_locked=True)
            ids = list(ended.values_list("pk", flat=True)[:PRUNED_AT_ONCE])
            Job.objects.filter(pk__in=ids).delete()
        total += len(ids)
        if len(ids) < PRUNED_AT_ONCE:
            return total


def cancel_unknown_types(now: datetime) -> int:
    """Cancel jobs due for a day whose type this version does not know; return how many."""
    unknown = Job.objects.due(now - UNKNOWN_FOR).exclude(type__in=list(job_types()))
    # Tasks wait on: this worker may lack the setting TASKS that another one has.
    unknown = unknown.filter(key__isnull=False)
    return unknown.update(
        status=JobStatus.CANCELLED,
        reason="No worker knows this type of job. Submit one of the types that the guide lists.",
        finished_at=now,
    )


PRUNING = PeriodicTask("pruning of jobs", 600, prune)
CANCELLING = PeriodicTask("cancelling of jobs of unknown types", 600, cancel_unknown_types)


def _locked(job: Job) -> Job:
    locked = Job.objects.select_for_update().filter(pk=job.pk).first()
    if locked is None:
        raise Conflict("The job no longer exists: it ended long ago. Submit another.")
    return locked
