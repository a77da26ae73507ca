"""The buttons of a key's page, regenerate, revoke and activate: each a dialog."""

from datetime import datetime, timedelta
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import timezone
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from apikeys import catalogue, lifecycle
from apikeys.audit import actor_of
from apikeys.models import ApiKey
from apikeys.validation import MAX_REASON_LENGTH
from backoffice.dialogs import ActionDialog, dialog_action, find

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

    version = forms.IntegerField(widget=forms.HiddenInput)
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

    def perform(self, request: HttpRequest) -> lifecycle.IssuedKey:
        return lifecycle.regenerate(
            self.row,
            actor=actor_of(request),
            overlap=timedelta(seconds=self.cleaned_data["overlap"]),
            version=self.cleaned_data["version"],
        )


class RevokeDialog(KeyDialog):
    """Why the key is withdrawn."""

    reason = forms.CharField(
        required=False,
        max_length=MAX_REASON_LENGTH,
        widget=UnfoldAdminTextInputWidget(attrs={"placeholder": "Laptop lost"}),
        help_text="Kept in the audit trail.",
    )

    def perform(self, request: HttpRequest) -> ApiKey:
        reason = self.cleaned_data["reason"]
        lifecycle.revoke(self.row, actor=actor_of(request), reason=reason)
        return self.row


class ActivateDialog(KeyDialog):
    """Undoes the revoke that the page showed."""

    revision = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["revision"] = self.row.revision

    def perform(self, request: HttpRequest) -> ApiKey:
        revision = self.cleaned_data["revision"]
        lifecycle.activate(self.row, actor=actor_of(request), revision=revision)
        return self.row


class KeyActions:
    """Regenerate, revoke, activate: who may, and for which keys it is offered."""

    def has_regenerate_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return may(request, "regenerate")

    def has_revoke_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return may(request, "revoke") and _is_revoked(object_id) is not True

    def has_activate_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return may(request, "activate") and _is_revoked(object_id) is not False

    @dialog_action(
        RegenerateDialog,
        label="Regenerate",
        title="Regenerate the key",
        description="Name, permissions and settings stay. The new key is shown once.",
        permission="regenerate",
        icon="autorenew",
    )
    def regenerate(self, request: HttpRequest, issued: lifecycle.IssuedKey) -> HttpResponse:
        """Show the new credential in the dialog's place; rendered before the old one stops."""
        context = issued_context(issued) | {"old_secret_stops_at": _old_secret_stops_at(issued)}
        page = render_to_string("apikeys/issued_dialog.html", context, request)
        # The dialog library would take only the form out of the response.
        whole = {"HX-Retarget": "#dialog", "HX-Reselect": "#dialog"}
        return HttpResponse(page, headers={"Cache-Control": "no-store", **whole})

    @dialog_action(
        RevokeDialog,
        label="Revoke",
        title="Revoke the key",
        description="The next request with it is refused. Its history stays, and it can be"
        " activated again.",
        permission="revoke",
        icon="block",
        variant=ActionVariant.DANGER,
    )
    def revoke(self, request: HttpRequest, key: ApiKey) -> str:
        return f"{key} is revoked."

    @dialog_action(
        ActivateDialog,
        label="Activate",
        title="Activate the key",
        description="It is accepted again from the next request on.",
        permission="activate",
        icon="check_circle",
        variant=ActionVariant.SUCCESS,
    )
    def activate(self, request: HttpRequest, key: ApiKey) -> str:
        return f"{key} is activated."


def may(request: HttpRequest, action: str) -> bool:
    return request.user.has_perm(f"apikeys.{action}_apikey")


def _is_revoked(object_id: Any) -> bool | None:
    key = find(ApiKey, object_id)
    return key.is_revoked if key else None


def _old_secret_stops_at(issued: lifecycle.IssuedKey) -> datetime | None:
    accepted = issued.key.secrets.accepted(timezone.now()).exclude(retires_at=None)
    last = accepted.order_by("-retires_at").first()
    return last.retires_at if last else None


def issued_context(issued: lifecycle.IssuedKey) -> dict[str, Any]:
    (key,) = catalogue.with_labels([issued.key])
    return {"issued": issued, "key": key}
