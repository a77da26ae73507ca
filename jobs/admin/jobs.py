"""Jobs in the admin, which the pages poll for progress while they run."""

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, JsonResponse
from django.urls import path
from django.utils import timezone
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display

from apikeys.admin.key_list import ENVIRONMENT_COLOURS
from backoffice.changelists.pagination import KeysetChangeList
from backoffice.columns import environment_column, timestamp
from backoffice.dialogs import dialog_action, find
from backoffice.filters import OwnFiltersOnly
from backoffice.links import link_to
from backoffice.read_only import ReadOnlyAdmin
from backoffice.selection import CheckedSelection
from jobs.admin.bulk_actions import RETRIED, BulkActions
from jobs.admin.dialogs import CancelDialog, RetryDialog
from jobs.admin.filters import TypeFilter
from jobs.admin.formatting import pretty, progress_text, state_of, timing_text
from jobs.admin.timeline import timeline_of
from jobs.models import Job, JobStatus
from jobs.models.jobs import ENDED

STATUS_COLOURS = {
    JobStatus.QUEUED.label: "info",
    JobStatus.RUNNING.label: "primary",
    JobStatus.SUCCEEDED.label: "success",
    JobStatus.FAILED.label: "warning",
    JobStatus.DEAD.label: "danger",
    JobStatus.CANCELLED.label: "warning",
}
MAX_WATCHED = 100
SHOWN_CUSTOMERS = 5
NO_KEY = "None: a task of an app"


@admin.register(Job)
class JobAdmin(BulkActions, ReadOnlyAdmin, OwnFiltersOnly, CheckedSelection, ModelAdmin):
    """Background jobs, newest first."""

    list_display = ("named", "in_environment", "in_status", "progress", "timing", "of_key")
    list_display_links = ("named",)
    list_filter = (
        ("status", ChoicesDropdownFilter),
        TypeFilter,
        ("environment", ChoicesDropdownFilter),
        ("key", AutocompleteSelectFilter),
        ("customers", AutocompleteSelectFilter),
    )
    list_filter_submit = True
    list_per_page = 50
    when_empty = "Jobs are queued by POST jobs, with a key that has jobs:run."
    list_select_related = ("key",)
    search_fields = ("pk",)
    search_help_text = "Job id or request id"
    show_full_result_count = False
    sortable_by: tuple[str, ...] = ()
    ordering = ("-pk",)
    list_disable_select_all = True
    actions = ("cancel_selected", "retry_selected")
    actions_detail = ("cancel", "retry")
    change_form_outer_before_template = "jobs/job_page.html"

    class Media:
        js = ("latchkey/jobs.js",)
        css = {"all": ("latchkey/jobs.css",)}

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Return none: the page's template shows the job, secrets redacted."""
        return []

    def has_cancel_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        job = self._job(object_id)
        return self._may(request) and (job is None or job.status not in ENDED)

    def has_retry_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Failed jobs included: the worker retries them only when their delay is over."""
        job = self._job(object_id)
        return self._may(request) and (job is None or job.status in RETRIED)

    @staticmethod
    def _may(request: HttpRequest) -> bool:
        return request.user.has_perm("jobs.change_job")

    @staticmethod
    def _job(object_id: Any) -> Job | None:
        return find(Job, object_id) if object_id else None

    def get_queryset(self, request: HttpRequest) -> Any:
        """Defer the large columns, which only the page of one job needs."""
        return super().get_queryset(request).without_bulk()

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return KeysetChangeList

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        try:
            identifier = UUID(search_term.strip())
        except ValueError:
            return (queryset.none() if search_term.strip() else queryset), False
        matches = queryset.filter(pk=identifier)
        return (matches if matches.exists() else queryset.filter(request_id=identifier)), False

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view(self.watch)
        return [path("watch/", view, name="jobs_job_watch"), *super().get_urls()]

    def watch(self, request: HttpRequest) -> JsonResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        ids = []
        for text in request.GET.getlist("id")[:MAX_WATCHED]:
            try:
                ids.append(UUID(text))
            except ValueError:
                continue
        found = Job.objects.filter(pk__in=ids).without_bulk()
        jobs = {str(job.pk): state_of(job) for job in found}
        return JsonResponse(jobs, headers={"Cache-Control": "no-store"})

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        job = self.get_object(request, object_id)
        context: dict[str, Any] = {"job": job}
        if job is not None:
            customers = job.customers.order_by("name")
            context |= {
                "customers": customers[:SHOWN_CUSTOMERS],
                "more_customers": max(0, customers.count() - SHOWN_CUSTOMERS),
                "title": job.type,
                "status_colour": STATUS_COLOURS[job.get_status_display()],
                "timeline": timeline_of(job),
                "params": pretty(job.params),
                "result": pretty(job.result) if job.result is not None else "",
                "is_watched": job.status not in ENDED,
                "state": state_of(job),
            }
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    @dialog_action(
        CancelDialog,
        label="Cancel",
        title="Cancel job {}",
        description="One that waits never runs; one that runs stops within 5 seconds.",
        permission="cancel",
        icon="cancel",
        is_dangerous=True,
        close="Back",
    )
    def cancel(self, request: HttpRequest, job: Job) -> str:
        return "The job is cancelled."

    @dialog_action(
        RetryDialog,
        label="Try again",
        title="Try job {} again",
        description="It goes on from where it was.",
        permission="retry",
        icon="replay",
    )
    def retry(self, request: HttpRequest, job: Job) -> str:
        return "The job is queued again."

    @display(description="Job", header=True)
    def named(self, job: Job) -> list[str]:
        return [job.type, str(job.pk)]

    in_environment = environment_column(ENVIRONMENT_COLOURS)

    @display(description="Status")
    def in_status(self, job: Job) -> str:
        return format_html(
            '<span class="latchkey-job-status" data-status="{}">{}</span>',
            job.status, job.get_status_display(),
        )  # fmt: skip

    @display(description="Progress")
    def progress(self, job: Job) -> str:
        return format_html(
            '<span class="latchkey-progress" data-job="{}" data-status="{}" data-attempt="{}">'
            '<progress max="100" value="{}" aria-label="Progress"></progress>'
            ' <small data-live="progress">{}</small></span>',
            job.pk, job.status, job.attempt, job.percent or 0, progress_text(job),
        )  # fmt: skip

    @display(description="Key")
    def of_key(self, job: Job) -> str:
        if job.key is None:
            return NO_KEY
        return link_to(job.key, job.key.name)

    @display(description="Time")
    def timing(self, job: Job) -> str:
        return format_html(
            '<span data-live="timing">{}</span> <small>Queued {}</small>',
            timing_text(job, timezone.now()),
            timestamp(job.queued_at),
        )
