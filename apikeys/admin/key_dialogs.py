"""The dialogs that regenerate, revoke and activate a key."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.db import transaction
from django.template.loader import render_to_string
from django.utils import timezone
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from apikeys import lifecycle
from apikeys.admin.actors import actor_of
from apikeys.models import ApiKey
from apikeys.validation import MAX_REASON_LENGTH
from backoffice.action_forms import ActionDialog
from backoffice.form_fields import WholeNumberField

HOUR = 3600
OVERLAPS = {
    0: "Stops at once",
    HOUR: "Goes on for an hour",
    24 * HOUR: "Goes on for a day",
    7 * 24 * HOUR: "Goes on for a week",
}


class KeyDialog(ActionDialog[ApiKey]):
    """A dialog about one key."""

    model = ApiKey


class RegenerateDialog(KeyDialog):
    """A new secret, and what becomes of the old one."""

    version = WholeNumberField(widget=forms.HiddenInput)
    overlap = forms.TypedChoiceField(
        choices=list(OVERLAPS.items()),
        coerce=int,
        initial=0,
        label="The old key",
        widget=UnfoldAdminSelectWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The secret this dialog was opened on: sent again, it makes no other.
        self.initial["version"] = self.row.secrets.get(retires_at=None).number

    def perform(self) -> str:
        """Regenerate the key; return the page that shows it, made before the old one stops."""
        with transaction.atomic():
            issued = lifecycle.regenerate(
                self.row,
                actor=actor_of(self.request),
                overlap=timedelta(seconds=self.cleaned_data["overlap"]),
                version=self.cleaned_data["version"],
            )
            context = issued_context(issued) | {"old_secret_stops_at": _old_secret_stops_at(issued)}
            return render_to_string("apikeys/issued_dialog.html", context, self.request)


class RevokeDialog(KeyDialog):
    """Why the key is withdrawn."""

    reason = forms.CharField(
        required=False,
        max_length=MAX_REASON_LENGTH,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "Laptop lost"}),
        help_text="Kept in the audit trail.",
    )

    def perform(self) -> Any:
        return lifecycle.revoke(
            self.row, actor=actor_of(self.request), reason=self.cleaned_data["reason"]
        )


class ActivateDialog(KeyDialog):
    """Undoes the revoke that the page showed."""

    revision = WholeNumberField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["revision"] = self.row.revision

    def perform(self) -> Any:
        return lifecycle.activate(
            self.row, actor=actor_of(self.request), revision=self.cleaned_data["revision"]
        )


def _old_secret_stops_at(issued: lifecycle.IssuedKey) -> datetime | None:
    """Return until when the secret before the new one is accepted; None if it is refused now."""
    accepted = issued.key.secrets.accepted(timezone.now()).exclude(retires_at=None)
    last = accepted.order_by("-retires_at").first()
    return last.retires_at if last else None


def issued_context(issued: lifecycle.IssuedKey) -> dict[str, Any]:
    """Return what the two templates that show a credential need."""
    return {"issued": issued, "key": issued.key}
