"""The dialogs that cancel and retry a job."""

from typing import Any

from django import forms
from django.http import HttpRequest

from audit.actors import actor_of
from backoffice.dialogs import ActionDialog
from backoffice.form_fields import WholeNumberField
from jobs import queue
from jobs.models import Job


class JobDialog(ActionDialog[Job]):
    """A dialog about one job."""

    model = Job

    @property
    def row_name(self) -> str:
        return self.row.type

    def impact(self) -> list[str]:
        """Return the environment and how far the job is."""
        done = f", {self.row.done:,} of {self.row.total:,}" if self.row.total else ""
        status = self.row.get_status_display()
        return [f"{self.row.get_environment_display()}.", f"{status}{done}."]


class CancelDialog(JobDialog):
    """Cancels the job."""

    def perform(self, request: HttpRequest) -> Job:
        actor = actor_of(request)
        reason = f"Cancelled by {actor.name} in the admin."
        return queue.cancel(self.row, actor=actor, reason=reason)


class RetryDialog(JobDialog):
    """Queues the job again."""

    attempt = WholeNumberField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["attempt"] = self.row.attempt

    def perform(self, request: HttpRequest) -> Job:
        actor, attempt = actor_of(request), self.cleaned_data["attempt"]
        return queue.retry(self.row, actor=actor, attempt=attempt)
