"""The buttons of a key's page, regenerate, revoke and activate: each a dialog."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.html import format_html
from unfold.decorators import action
from unfold.widgets import UnfoldAdminRadioSelectWidget, UnfoldAdminTextInputWidget

from apikeys import catalogue, lifecycle
from apikeys.models import ApiKey
from apikeys.validation import MAX_REASON_LENGTH
from audit.actors import actor_of
from backoffice.columns import ago
from backoffice.dialogs import ActionDialog, dialog_action, find
from backoffice.page_sections import facts_of

# The parameter of the form of a new key: the key that it is to be like.
LIKE = "like"
HOUR = 3600
OVERLAPS = {
    0: "Stops at once",
    HOUR: "Works for another hour",
    24 * HOUR: "Works for another day",
    7 * 24 * HOUR: "Works for another week",
}


class KeyDialog(ActionDialog[ApiKey]):
    """A dialog about one key."""

    model = ApiKey

    @property
    def row_name(self) -> str:
        return self.row.name

    @cached_property
    def is_in_use(self) -> bool:
        used = self.row.last_used_at
        return used is not None and timezone.now() - used < timedelta(seconds=HOUR)

    def impact(self) -> list[str]:
        """Return the environment and how much the key is used, as far as this person may know."""
        traffic = facts_of(self.request, self.row, "impact")
        return [f"{self.row.get_environment_display()}.", *(traffic or [self._last_use()])]

    def _last_use(self) -> str:
        if self.row.last_used_at is None:
            return "Never used."
        return format_html("Last used {}.", ago(self.row.last_used_at))


class RegenerateDialog(KeyDialog):
    """A new secret, and what becomes of the old one."""

    version = forms.IntegerField(widget=forms.HiddenInput)
    overlap = forms.TypedChoiceField(
        choices=list(OVERLAPS.items()),
        coerce=int,
        initial=0,
        label="The old key",
        widget=UnfoldAdminRadioSelectWidget,
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.is_in_use and not self.row.is_revoked:
            self.initial["overlap"] = HOUR
            self.fields["overlap"].help_text = (
                "It was used in the last hour. What uses it needs the new key before the old one"
                " stops."
            )
        # The secret this dialog was opened on: sent again, it makes no other.
        self.initial["version"] = lifecycle.current_version(self.row)

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

    def has_clone_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return may(request, "add")

    @action(description="Clone", permissions=["clone"], icon="content_copy")
    def clone(self, request: HttpRequest, object_id: str) -> HttpResponseRedirect:
        """Open the form of a new key with the settings of this one; nothing is made yet."""
        form = reverse("admin:apikeys_apikey_add")
        return HttpResponseRedirect(f"{form}?{urlencode({LIKE: object_id})}")

    @dialog_action(
        RegenerateDialog,
        label="Regenerate",
        title="Regenerate {}",
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
        title="Revoke {}",
        description="The next request with it is refused. Its history stays, and it can be"
        " activated again.",
        permission="revoke",
        icon="block",
        is_dangerous=True,
    )
    def revoke(self, request: HttpRequest, key: ApiKey) -> str:
        return f"{key} is revoked."

    @dialog_action(
        ActivateDialog,
        label="Activate",
        title="Activate {}",
        description="It is accepted again from the next request on.",
        permission="activate",
        icon="check_circle",
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
