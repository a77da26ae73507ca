"""Jobs, their attempts and result files.

Only ``jobs.queue`` and ``jobs.leases`` write rows. A running job belongs to the runner that holds
its lease.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Self

from django.db import models
from django.db.models import Count, Q
from django.utils import timezone

from apikeys.environments import MAX_ENVIRONMENT_LENGTH, Environment
from apikeys.guard.isolation import reached
from apikeys.models import ApiKey
from customers.models import Customer
from database.constraints import SameEnvironment
from database.fields import JSONObjectField
from database.uuid7 import new_id


class JobStatus(models.TextChoices):
    """The status of a job; ``failed`` will be retried, ``dead`` will not."""

    QUEUED = "queued", "Queued"
    RUNNING = "running", "Running"
    SUCCEEDED = "succeeded", "Succeeded"
    FAILED = "failed", "Failed, will retry"
    DEAD = "dead", "Dead"
    CANCELLED = "cancelled", "Cancelled"


WAITING = (JobStatus.QUEUED, JobStatus.FAILED)
ENDED = (JobStatus.SUCCEEDED, JobStatus.DEAD, JobStatus.CANCELLED)


class JobQuerySet(models.QuerySet["Job"]):
    """Jobs by owner, status and time."""

    def visible_to(self, key: ApiKey) -> Self:
        """Jobs that ``key`` submitted."""
        return self.filter(key=key, environment=key.environment)

    def due(self, now: datetime) -> Self:
        return self.waiting().filter(run_at__lte=now)

    def without_bulk(self) -> Self:
        return self.defer("params", "state", "result")

    def waiting(self) -> Self:
        """Jobs that no runner has, due or not."""
        return self.filter(status__in=WAITING)

    def lost(self, now: datetime) -> Self:
        return self.filter(status=JobStatus.RUNNING, lease_until__lt=now)

    def ended_before(self, timestamp: datetime) -> Self:
        return self.filter(status__in=ENDED, finished_at__lt=timestamp)


class Job(models.Model):
    """A background job that runs on behalf of a key, or a task of another app, which has none."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    environment = models.CharField(max_length=MAX_ENVIRONMENT_LENGTH, choices=Environment)
    key: "models.ForeignKey[Any, Any]" = models.ForeignKey(
        ApiKey, null=True, on_delete=models.PROTECT, related_name="jobs", db_index=False
    )
    customers: "models.ManyToManyField[Any, JobCustomer]" = models.ManyToManyField(
        Customer, through="JobCustomer", related_name="jobs"
    )
    type = models.CharField(max_length=50)
    queue = models.CharField(max_length=30, default="default")
    # A number too, because a deleted customer is no longer among ``customers``.
    customer_count = models.PositiveIntegerField(
        null=True, help_text="How many customers it is about; none: all."
    )
    # The text as it was sent, so that both databases return the same values.
    params = JSONObjectField()
    request_id = models.UUIDField(null=True)
    status = models.CharField(max_length=9, choices=JobStatus, default=JobStatus.QUEUED)
    reason = models.CharField(max_length=500, blank=True)
    run_at = models.DateTimeField(default=timezone.now)
    # The highest first; 0 for jobs of keys.
    priority = models.SmallIntegerField(default=0, db_default=0)
    attempt = models.PositiveIntegerField(default=0)
    max_attempts = models.PositiveIntegerField(default=1)
    # The token of the runner that holds the job, and when the lease expires unless renewed.
    lease = models.UUIDField(null=True)
    lease_until = models.DateTimeField(null=True)
    worker = models.CharField(max_length=300, blank=True)
    cancel_requested_at = models.DateTimeField(null=True)
    done = models.PositiveBigIntegerField(default=0)
    total = models.PositiveBigIntegerField(null=True)
    message = models.CharField(max_length=300, blank=True)
    # Where the next attempt resumes; committed with the effects of the steps before it.
    state = models.JSONField(default=dict)
    result = models.JSONField(null=True)
    file_name = models.CharField(max_length=100, blank=True)
    file_type = models.CharField(max_length=100, blank=True)
    file_bytes = models.PositiveBigIntegerField(default=0)
    queued_at = models.DateTimeField("queued", default=timezone.now)
    started_at = models.DateTimeField("started", null=True)
    finished_at = models.DateTimeField("finished", null=True)

    objects = JobQuerySet.as_manager()

    # Whether the content is hidden from the calling key; set by ``mark_redacted_jobs``.
    is_redacted = False

    class Meta:
        default_permissions = ("change", "view")
        ordering = ["-id"]
        constraints = [
            models.UniqueConstraint(fields=["id", "environment"], name="job_id_environment"),
            models.CheckConstraint(condition=Q(status__in=JobStatus.values), name="job_status"),
            models.CheckConstraint(
                condition=Q(status="running", lease__isnull=False)
                | (~Q(status="running") & Q(lease__isnull=True)),
                name="job_lease_while_running",
            ),
        ]
        indexes = [
            models.Index(fields=["key", "-id"], name="job_by_key"),
            models.Index(fields=["status", "run_at", "id"], name="job_by_turn"),
            models.Index(fields=["status", "-priority", "run_at", "id"], name="job_by_priority"),
            models.Index(fields=["finished_at"], name="job_by_end"),
        ]

    def __str__(self) -> str:
        return f"{self.type} {self.id}"

    @property
    def percent(self) -> int | None:
        """None while the total is unknown."""
        if self.status == JobStatus.SUCCEEDED:
            return 100
        return min(100, self.done * 100 // self.total) if self.total else None


class JobCustomer(models.Model):
    """A customer that the job's parameters name, or else one in its key's scope."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="+", db_index=False)
    customer = models.ForeignKey(
        Customer, on_delete=models.CASCADE, related_name="+", db_index=False
    )
    environment = models.CharField(max_length=MAX_ENVIRONMENT_LENGTH, choices=Environment)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(fields=["customer", "job"], name="jobcustomer_once"),
            SameEnvironment(field="job", name="jobcustomer_job_environment"),
            SameEnvironment(field="customer", name="jobcustomer_customer_environment"),
        ]
        indexes = [models.Index(fields=["job"], name="jobcustomer_by_job")]

    def __str__(self) -> str:
        return f"{self.job_id} is about {self.customer_id}"


def mark_redacted_jobs(jobs: Sequence[Job], key: ApiKey) -> None:
    """Set ``is_redacted`` on jobs about a customer that ``key`` has no access to now."""
    if not key.is_scoped:
        return
    rows = JobCustomer.objects.filter(
        job_id__in=[job.pk for job in jobs if job.customer_count],
        customer_id__in=reached(key).values("customer_id"),
    )
    numbers = dict(rows.values_list("job_id").annotate(number=Count("pk")))
    for job in jobs:
        job.is_redacted = job.customer_count is None or (
            numbers.get(job.pk, 0) < job.customer_count
        )


class JobAttempt(models.Model):
    """One attempt at a job, with the error that ended it."""

    id = models.UUIDField(primary_key=True, default=new_id, editable=False)
    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="attempts", db_index=False)
    number = models.PositiveIntegerField()
    worker = models.CharField(max_length=300)
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)
    error = models.CharField(max_length=1000, blank=True)
    # Of a task: the path of the exception's class, and its traceback with credentials masked.
    exception = models.CharField(max_length=300, blank=True, db_default="")
    traceback = models.TextField(blank=True, db_default="")

    class Meta:
        default_permissions = ()
        ordering = ["id"]
        indexes = [models.Index(fields=["job", "id"], name="attempt_by_job")]

    def __str__(self) -> str:
        return f"Attempt {self.number} of {self.job_id}"


class JobFilePart(models.Model):
    """A part of a job's result file, committed with the step that yields it."""

    job = models.ForeignKey(Job, on_delete=models.CASCADE, related_name="parts", db_index=False)
    number = models.PositiveIntegerField()
    content = models.TextField()

    class Meta:
        default_permissions = ()
        ordering = ["number"]
        constraints = [models.UniqueConstraint(fields=["job", "number"], name="job_file_part_once")]

    def __str__(self) -> str:
        return f"Part {self.number} of {self.job_id}"
