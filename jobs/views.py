"""The jobs endpoints: a key sees and cancels the jobs it asked for."""

from collections.abc import Iterator
from uuid import UUID

from django.http import StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.guard.context import context_of
from apikeys.guard.permissions import require_permissions, scope_denial
from apikeys.guard.problems import not_found
from apikeys.guard.views import GuardedView, endpoint
from apikeys.permissions import Permission
from database.refusals import Conflict
from jobs import queue
from jobs.models import Job, JobStatus
from jobs.models.jobs import mark_redacted_jobs
from jobs.registry import type_permissions
from jobs.serializers import (
    JobDetailSerializer,
    JobInput,
    JobQuery,
    JobSerializer,
    body_permissions,
    check_customers,
)


class _JobView(GuardedView):
    """Finds the job that the path names."""

    def get_job(self, job_id: UUID) -> Job:
        job = get_object_or_404(Job.objects.visible_to(self.key), pk=job_id)
        mark_redacted_jobs([job], self.key)
        return job


class JobsView(_JobView):
    """The jobs a key asked for."""

    customers: list[UUID]

    def resolve_target(self) -> bool:
        self.customers = check_customers(self.key, self.body["params"])
        return True

    @endpoint(
        Permission.JOBS_READ, "List jobs", query=JobQuery, response=JobSerializer, is_list=True
    )
    def get(self, request: Request, environment: str) -> Response:
        """Answer a page of the jobs that this key asked for, newest first."""
        rows = Job.objects.visible_to(self.key).without_bulk()
        return self.page(rows, prepare=mark_redacted_jobs)

    @endpoint(
        Permission.JOBS_RUN,
        "Run a job",
        body=JobInput,
        body_permissions=body_permissions,
        response=JobDetailSerializer,
        status=202,
        idempotent=True,
        problems=("conflict",),
    )
    def post(self, request: Request, environment: str) -> Response:
        """Queue a job; it starts within a second, and `Location` tells where to watch it.

        The key needs the type's own permissions too, and still when the job starts.
        """
        kind = self.body["kind"]
        context = context_of(request)
        job = queue.submit(
            self.key,
            kind,
            self.body["params"],
            customers=self.customers,
            request_id=context.request_id,
        )
        context.job = str(job.pk)
        if len(self.customers) == 1:
            self.set_log_customer(self.customers[0])
        return self.show_new(job, 202)


class JobView(_JobView):
    """One job."""

    @endpoint(Permission.JOBS_READ, "Show a job", response=JobDetailSerializer)
    def get(self, request: Request, environment: str, job_id: UUID) -> Response:
        """Answer the job with its progress and its attempts."""
        return self.show(self.get_job(job_id))


class CancelView(_JobView):
    """Cancels a job."""

    job: Job

    def resolve_target(self) -> bool:
        """Replay no stored response of a job that is redacted now."""
        self.job = self.get_job(self.kwargs["job_id"])
        require_permissions(self.key, type_permissions(self.job.type))
        return not self.job.is_redacted

    @endpoint(
        Permission.JOBS_RUN,
        "Cancel a job",
        response=JobDetailSerializer,
        status=202,
        idempotent=True,
        problems=("conflict",),
    )
    def post(self, request: Request, environment: str, job_id: UUID) -> Response:
        """Cancel a job: one that waits never runs, one that runs stops within 5 seconds."""
        job = queue.cancel(
            self.job, actor=self.actor, reason="Cancelled by the key that asked for it."
        )
        job.is_redacted = self.job.is_redacted
        return self.show(job, 202)


class ResultView(_JobView):
    """The file that a job made."""

    @endpoint(
        Permission.JOBS_READ,
        "Download the result of a job",
        media_type="application/x-ndjson",
        problems=("conflict",),
    )
    def get(self, request: Request, environment: str, job_id: UUID) -> HttpResponseBase:
        """Answer the file of a job that has succeeded."""
        job = self.get_job(job_id)
        require_permissions(self.key, type_permissions(job.type))
        if job.is_redacted:
            raise scope_denial(environment, Permission.JOBS_READ)
        if not job.file_name:
            raise not_found()
        if job.status != JobStatus.SUCCEEDED:
            raise Conflict(f"The job is {job.status}. Wait until it has succeeded.")
        return StreamingHttpResponse(
            _parts(job),
            content_type=job.file_type,
            headers={
                "Content-Disposition": f'attachment; filename="{job.file_name}"',
                "Content-Length": str(job.file_bytes),
            },
        )


def _parts(job: Job) -> Iterator[str]:
    for part in job.parts.order_by("number").iterator(chunk_size=5):
        yield part.content
