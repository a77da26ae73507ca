"""The buttons of a key's page, each a dialog that acts on POST alone."""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from unfold.decorators import action
from unfold.enums import ActionVariant

from apikeys.admin.key_dialogs import ActivateDialog, RegenerateDialog, RevokeDialog
from apikeys.models import ApiKey


class KeyActions:
    """Regenerate, revoke, activate."""

    message_user: Any

    @action(
        description="Regenerate",
        permissions=["regenerate"],
        icon="autorenew",
        dialog={
            "title": "Regenerate the key",
            "description": "Name, permissions and settings stay. The new key is shown once.",
            "form_class": RegenerateDialog,
            "form_submit_text": "Regenerate",
        },
    )
    def regenerate(self, request: HttpRequest, form: RegenerateDialog, object_id: str) -> Any:
        """Show the new credential in the dialog's place."""
        response = HttpResponse(form.outcome, headers={"Cache-Control": "no-store"})
        # The dialog library would take only the form out of the answer.
        response["HX-Retarget"] = response["HX-Reselect"] = "#dialog"
        return response

    @action(
        description="Revoke",
        permissions=["revoke"],
        icon="block",
        variant=ActionVariant.DANGER,
        dialog={
            "title": "Revoke the key",
            "description": "The next request with it is refused. Its history stays, and it can be"
            " activated again.",
            "form_class": RevokeDialog,
            "form_submit_text": "Revoke",
        },
    )
    def revoke(self, request: HttpRequest, form: RevokeDialog, object_id: str) -> HttpResponse:
        self.message_user(request, f"{form.row} is revoked.")
        return self._back_to(form.row)

    @action(
        description="Activate",
        permissions=["activate"],
        icon="check_circle",
        variant=ActionVariant.SUCCESS,
        dialog={
            "title": "Activate the key",
            "description": "It is accepted again from the next request on.",
            "form_class": ActivateDialog,
            "form_submit_text": "Activate",
        },
    )
    def activate(self, request: HttpRequest, form: ActivateDialog, object_id: str) -> HttpResponse:
        self.message_user(request, f"{form.row} is activated.")
        return self._back_to(form.row)

    @staticmethod
    def _back_to(key: ApiKey) -> HttpResponse:
        address = reverse("admin:apikeys_apikey_change", args=(key.pk,))
        return HttpResponse(headers={"HX-Redirect": address})
