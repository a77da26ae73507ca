"""The forms of the admin that make a link, and the dialog that withdraws one."""

from datetime import timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from unfold.widgets import (
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminRadioSelectWidget,
)

from apikeys import lifecycle as keys
from apikeys.admin.key_dialogs import HOUR, OVERLAPS, KeyDialog
from apikeys.admin.key_forms import CreateKeyForm
from apikeys.environments import Environment
from apikeys.lifecycle import IssuedKey
from apikeys.models import ApiKey
from audit.actors import actor_of
from backoffice.form_fields import WholeNumberField
from database.refusals import Refused
from handover import lifecycle
from handover.lifecycle import MAX_HOURS, MIN_HOURS, USUAL_HOURS, Offer, Terms

# The name of the button that hands a new key over.
HAND_OVER = "_hand_over"


class TermsForm(forms.BaseForm):
    """A mixin: how long the link is good, and what it asks for."""

    def terms(self) -> Terms:
        return lifecycle.terms(self.cleaned_data["hand_over"], self.cleaned_data["passphrase"])


def _hours() -> WholeNumberField:
    return WholeNumberField(
        label="Hours until the link expires",
        min_value=MIN_HOURS,
        max_value=MAX_HOURS,
        initial=USUAL_HOURS,
        widget=UnfoldAdminIntegerFieldWidget,
    )


def _passphrase() -> forms.CharField:
    return forms.CharField(
        required=False,
        strip=False,
        max_length=lifecycle.MAX_PASSPHRASE_LENGTH,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="Blank for none. Tell it to the recipient in another way than the link.",
    )


class CreateOrHandOverForm(TermsForm, CreateKeyForm):
    """A new key, whose credential is shown, or handed over by a link."""

    hand_over = _hours()
    passphrase = _passphrase()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Asked for by one of the two buttons alone.
        self.fields["hand_over"].required = False

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean()
        if HAND_OVER in self.data and cleaned.get("hand_over", 0) is None:
            self.add_error("hand_over", ValidationError("Choose the hours that the link is good."))
        return cleaned

    def perform(self, request: HttpRequest) -> IssuedKey | Offer:  # type: ignore[override]
        if HAND_OVER not in request.POST:
            return super().perform(request)
        return lifecycle.create(
            self.terms(),
            environment=Environment(self.cleaned_data["environment"]),
            actor=actor_of(request),
            key_id=self.cleaned_data["ticket"],
            **self.settings(),
        )


class HandOverDialog(TermsForm, KeyDialog):
    """A link for the key's next secret, and what becomes of the old one then."""

    revision = forms.IntegerField(widget=forms.HiddenInput)
    hand_over = _hours()
    passphrase = _passphrase()
    overlap = forms.TypedChoiceField(
        choices=list(OVERLAPS.items()),
        coerce=int,
        initial=0,
        label="The old key, once the recipient confirms",
        widget=UnfoldAdminRadioSelectWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Sent again, it makes no other link.
        self.initial["revision"] = self.row.revision
        if self.row.is_awaiting:
            del self.fields["overlap"]
        elif self.is_in_use:
            self.initial["overlap"] = HOUR

    def perform(self, request: HttpRequest) -> Offer:
        return lifecycle.regenerate(
            self.row,
            self.terms(),
            actor=actor_of(request),
            overlap=timedelta(seconds=self.cleaned_data.get("overlap", 0)),
            revision=self.cleaned_data["revision"],
        )


class WithdrawDialog(KeyDialog):
    """Ends a link that nobody has confirmed."""

    def perform(self, request: HttpRequest) -> ApiKey:
        if keys.withdraw(self.row, actor=actor_of(request)) is None:
            raise Refused(
                "The link is not pending any more. Reload the page to see what it led to."
            )
        return self.row
