"""What people may do to a job, each by a dialog of its own."""

from typing import Any

from django import forms
from django.http import Http404
from unfold.forms import BaseDialogForm

from apikeys.admin.acting import ActingForm, find
from apikeys.admin.actors import actor_of
from jobs import dispatch
from jobs.models import Job


class JobDialog(ActingForm, BaseDialogForm):
    """A dialog about one job, which shows why it was refused."""

    form_before_template = "latchkey/dialog_errors.html"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        found = find(Job, self.object_id)
        if found is None:
            raise Http404
        self.job = found

    def get_before_template_context(self, request: Any, object_id: Any = None) -> dict[str, Any]:
        """Return the errors that belong to no field."""
        return {"errors": self.non_field_errors()}


class CancelDialog(JobDialog):
    """Cancels."""

    def act(self) -> Job:
        """Cancel the job."""
        actor = actor_of(self.request)
        reason = f"Cancelled by {actor.name} in the admin."
        return dispatch.cancel(self.job, actor=actor, reason=reason)


class RetryDialog(JobDialog):
    """Tries again."""

    attempt = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["attempt"] = self.job.attempt

    def act(self) -> Job:
        """Queue the job again."""
        actor, attempt = actor_of(self.request), self.cleaned_data["attempt"]
        return dispatch.retry(self.job, actor=actor, attempt=attempt)
