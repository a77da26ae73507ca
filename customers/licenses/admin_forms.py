"""The forms that issue and change a license, and the dialogs that move it."""

from typing import Any

from django import forms
from django.http import HttpRequest
from unfold.widgets import UnfoldAdminSplitDateTimeWidget

from audit.actors import actor_of
from backoffice.dialogs import ActionDialog
from backoffice.form_fields import LineField, WholeNumberField
from backoffice.selection import is_id
from customers.licenses import lifecycle
from customers.models import License
from customers.seen_form import SeenForm
from database.uuid7 import new_id

SETTINGS = ("product", "seats", "expires_at", "metadata")


class LicenseForm(SeenForm):
    """A license's settings."""

    # The id is chosen with the form, so that a form sent twice issues one license.
    ticket = forms.UUIDField(widget=forms.HiddenInput, required=False)

    class Meta:
        model = License
        fields = ("customer", *SETTINGS)
        field_classes = {"product": LineField, "seats": WholeNumberField}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "expires_at" in self.fields:
            self.fields["expires_at"].label = "Expires (UTC)"
        if self.data and not is_id(self.data.get("customer")):
            # The widget would look for it.
            self.data = self.data.copy()  # type: ignore[attr-defined]
            self.data["customer"] = ""  # type: ignore[index]
        if self.instance._state.adding:
            self.initial["ticket"] = new_id()

    def clean_seats(self) -> int:
        seats: int = self.cleaned_data["seats"]
        if not 1 <= seats <= lifecycle.MAX_SEATS:
            raise forms.ValidationError(lifecycle.SEATS_OUT_OF_RANGE)
        return seats

    def perform(self, request: HttpRequest) -> License:
        settings = {name: self.cleaned_data[name] for name in SETTINGS}
        if not self.instance._state.adding and "expires_at" not in self.changed_data:
            # The page shows no fractions of a second: it stays as it is stored.
            del settings["expires_at"]
        actor = actor_of(request)
        if self.instance._state.adding:
            ticket = self.cleaned_data["ticket"]
            customer = self.cleaned_data["customer"]
            return lifecycle.issue(customer, actor=actor, license_id=ticket, **settings)
        return lifecycle.update(
            self.instance, actor=actor, settings=settings, precondition=self.require_seen
        )


class MoveDialog(ActionDialog[License]):
    """One of the moves a license can make."""

    model = License
    move: str

    @property
    def row_name(self) -> str:
        return self.row.product

    def impact(self) -> list[str]:
        """Return whose license it is and on how many machines it runs."""
        machines = self.row.activations.count()
        return [f"{self.row.customer}.", f"{machines:,} of {self.row.seats:,} seats are taken."]

    def perform(self, request: HttpRequest) -> License:
        return lifecycle.move(
            self.row,
            self.move,
            actor=actor_of(request),
            expires_at=self.cleaned_data.get("expires_at"),
        )


class SuspendDialog(MoveDialog):
    """Suspends."""

    move = "suspend"


class ReinstateDialog(MoveDialog):
    """Reinstates."""

    move = "reinstate"


class RevokeDialog(MoveDialog):
    """Revokes."""

    move = "revoke"


class RenewDialog(MoveDialog):
    """Renews, until a time or for ever."""

    move = "renew"
    expires_at = forms.SplitDateTimeField(
        required=False,
        label="New expiry (UTC)",
        widget=UnfoldAdminSplitDateTimeWidget,
        help_text="Blank: it never expires.",
    )
