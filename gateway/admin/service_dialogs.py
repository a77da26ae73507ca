"""The buttons of a service's page, enable, disable and delete: each a dialog."""

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

from audit.actors import actor_of
from backoffice.dialogs import ActionDialog, dialog_action, find
from gateway import lifecycle
from gateway.models import Service


class ServiceDialog(ActionDialog[Service]):
    """A dialog about one service."""

    model = Service


class EnableDialog(ServiceDialog):
    """Lets requests pass again, by the rules that the page showed."""

    revision = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["revision"] = self.row.revision

    def perform(self, request: HttpRequest) -> Service:
        return lifecycle.update(
            self.row,
            actor=actor_of(request),
            fields={"is_enabled": True},
            revision=self.cleaned_data["revision"],
        )


class DisableDialog(ServiceDialog):
    """Refuses every request until the service is enabled again."""

    def perform(self, request: HttpRequest) -> Service:
        return lifecycle.update(self.row, actor=actor_of(request), fields={"is_enabled": False})


class DeleteDialog(ServiceDialog):
    """Deletes the service and its rules."""

    def perform(self, request: HttpRequest) -> Service:
        lifecycle.delete(self.row, actor=actor_of(request))
        return self.row


class ServiceActions:
    """Enable, disable, delete: who may, and for which services it is offered."""

    def has_enable_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return may(request, "change") and _is_enabled(object_id) is not True

    def has_disable_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return may(request, "change") and _is_enabled(object_id) is not False

    def has_remove_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return may(request, "delete")

    @dialog_action(
        EnableDialog, label="Enable", title="Enable {}",
        description="Its rules decide again from the next request on.",
        permission="enable", icon="check_circle",
    )  # fmt: skip
    def enable(self, request: HttpRequest, service: Service) -> str:
        return f"{service} is enabled."

    @dialog_action(
        DisableDialog, label="Disable", title="Disable {}",
        description="Its proxies refuse every request from the next one on, public paths too."
        " Rules and history stay.",
        permission="disable", icon="block", is_dangerous=True,
    )  # fmt: skip
    def disable(self, request: HttpRequest, service: Service) -> str:
        return f"{service} is disabled."

    @dialog_action(
        DeleteDialog, label="Delete", title="Delete {}",
        description="Its rules are deleted with it, and its proxies refuse every request from the"
        " next one on. Permissions, requests and history stay.",
        permission="remove", icon="delete", is_dangerous=True,
    )  # fmt: skip
    def remove(self, request: HttpRequest, service: Service) -> HttpResponse:
        """Go to the list: there is no page of the service any more."""
        self.message_user(request, f"{service} is deleted.")  # type: ignore[attr-defined]
        return HttpResponse(headers={"HX-Redirect": reverse("admin:gateway_service_changelist")})


def may(request: HttpRequest, action: str) -> bool:
    return request.user.has_perm(f"gateway.{action}_service")


def _is_enabled(object_id: Any) -> bool | None:
    service = find(Service, object_id)
    return service.is_enabled if service else None
