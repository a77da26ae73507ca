"""Cancels or retries the selected jobs, confirmed once; the others are left out."""

from collections.abc import Callable
from typing import Any, NamedTuple

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse

from audit.actors import Actor, actor_of
from database.refusals import Refused
from jobs import queue
from jobs.models import Job, JobStatus
from jobs.models.jobs import ENDED

MAX_SELECTED = 500
RETRIED = (JobStatus.DEAD, JobStatus.CANCELLED, JobStatus.FAILED)


class _Act(NamedTuple):
    """What is done to each job: ``attempt`` is the last one that the person saw."""

    action: str
    verb: str
    done: str
    left_out: str
    statuses: tuple[str, ...]
    perform: Callable[[Job, Actor, int], Job]


def _cancel(job: Job, actor: Actor, attempt: int) -> Job:
    return queue.cancel(job, actor=actor, reason=f"Cancelled by {actor.name} in the admin.")


def _retry(job: Job, actor: Actor, attempt: int) -> Job:
    return queue.retry(job, actor=actor, attempt=attempt)


OPEN = tuple(status for status in JobStatus if status not in ENDED)
CANCEL = _Act("cancel_selected", "Cancel", "cancelled", "ended already", OPEN, _cancel)
RETRY = _Act("retry_selected", "Retry", "queued again", "not failed", RETRIED, _retry)


class BulkActions:
    """Cancel and retry many."""

    admin_site: Any
    opts: Any
    message_user: Any

    @admin.action(description="Cancel selected jobs", permissions=["cancel"])
    def cancel_selected(self, request: HttpRequest, queryset: QuerySet[Job]) -> Any:
        return self._bulk(request, queryset, CANCEL)

    @admin.action(description="Retry selected jobs", permissions=["retry"])
    def retry_selected(self, request: HttpRequest, queryset: QuerySet[Job]) -> Any:
        return self._bulk(request, queryset, RETRY)

    def _bulk(self, request: HttpRequest, queryset: QuerySet[Job], act: _Act) -> HttpResponse:
        selected = list(queryset.select_related("key")[:MAX_SELECTED])
        jobs = [job for job in selected if job.status in act.statuses]
        if "seen" in request.POST:
            return self._perform(request, jobs, act)
        if not jobs:
            self.message_user(
                request,
                f"None of the selected jobs can be {act.done}: they are {act.left_out}."
                " Select others.",
                messages.WARNING,
            )
            return redirect(request.get_full_path())
        number = "1 job" if len(jobs) == 1 else f"{len(jobs)} jobs"
        context = self.admin_site.each_context(request) | {
            "title": f"{act.verb} {number}",
            "opts": self.opts,
            "act": act,
            "jobs": jobs,
            "left_out": len(selected) - len(jobs),
            # In one field: Django takes a thousand.
            "seen": " ".join(f"{job.pk}:{job.attempt}" for job in jobs),
            "way_back": request.get_full_path(),
        }
        return TemplateResponse(request, "jobs/confirm_selected.html", context)

    def _perform(self, request: HttpRequest, jobs: list[Job], act: _Act) -> HttpResponse:
        seen = dict(word.split(":", 1) for word in request.POST["seen"].split() if ":" in word)
        actor, count = actor_of(request), 0
        for job in jobs:
            attempt = seen.get(str(job.pk), "")
            if not attempt.isdecimal():
                continue
            try:
                act.perform(job, actor, int(attempt))
                count += 1
            except Refused as refused:
                self.message_user(request, f"{job}: {refused}", messages.ERROR)
        done = f"1 job is {act.done}." if count == 1 else f"{count} jobs are {act.done}."
        self.message_user(request, done)
        return redirect(request.get_full_path())
