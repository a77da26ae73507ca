"""The catalogue of permissions in the admin: custom ones are edited, those built in are shown."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from django import forms
from django.contrib import admin, messages
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import display

from apikeys import catalogue
from apikeys.models import CustomPermission
from apikeys.permissions import BUILT_IN
from audit.actors import actor_of
from audit.models import Event
from backoffice.action_forms import ActionForm, ActionFormAdmin
from backoffice.changelists.checked_list import CheckedList
from backoffice.finding.registry import Found, finder
from backoffice.finding.terms import Term
from database.refusals import Conflict

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[CustomPermission]
else:
    _ModelForm = forms.ModelForm

SHOWN_EVENTS = 50


class PermissionForm(ActionForm, _ModelForm):
    """Code, label and description; the catalogue says what they may be."""

    class Meta:
        help_texts = {
            "code": "Resource and action, such as orders:read. Cannot be changed later.",
            "label": "What people read, such as Order Read.",
        }

    def perform(self, request: HttpRequest) -> CustomPermission:
        actor, texts = actor_of(request), dict(self.cleaned_data)
        if self.instance._state.adding:
            return catalogue.create(texts.pop("code"), actor=actor, **texts)
        changed = {name: texts[name] for name in self.changed_data}
        return catalogue.update(self.instance, actor=actor, fields=changed)

    def _post_clean(self) -> None:
        """Leave the model's checks to the catalogue, whose refusals say what to do."""


@admin.register(CustomPermission)
class PermissionAdmin(ActionFormAdmin, CheckedList, ModelAdmin):
    """Custom permissions, above those built in."""

    list_display = ("code", "label", "description", "held_by", "named_by")
    list_filter = ()
    list_per_page = 50
    search_fields = ("code", "label")
    search_help_text = "Code or label"
    show_full_result_count = False
    form = PermissionForm
    fields = ("code", "label", "description")
    list_after_template = "apikeys/built_in_permissions.html"
    change_form_outer_after_template = "apikeys/permission_page.html"

    @display(description="Keys")
    def held_by(self, permission: Any) -> str:
        return _keys(permission.code, permission.use)

    @display(description="Services")
    def named_by(self, permission: Any) -> str:
        return ", ".join(permission.use.services) or "None"

    def get_queryset(self, request: HttpRequest) -> Any:
        return catalogue.custom()

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        page = super().get_changelist_instance(request)
        uses = catalogue.uses([*BUILT_IN, *(permission.code for permission in page.result_list)])
        for permission in page.result_list:
            permission.use = uses[permission.code]
        page.built_in = [(code, label, _keys(code, uses[code])) for code, label in BUILT_IN.items()]
        return page

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        permission = self.get_object(request, object_id)
        context: dict[str, Any] = {"permission": permission}
        if permission is not None:
            use = catalogue.uses([permission.code])[permission.code]
            events = Event.objects.about(permission)
            context |= {
                "keys": _keys(permission.code, use),
                "services": use.services,
                "events": events[:SHOWN_EVENTS],
                "more_events": max(0, events.count() - SHOWN_EVENTS),
            }
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("code",) if obj else ()

    def get_actions(self, request: HttpRequest) -> Any:
        """Offer no bulk deletion: each needs its own check of what uses it."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponseBase:
        try:
            answer: HttpResponseBase = super().delete_view(request, object_id, extra_context)
        except Conflict as conflict:
            self.message_user(request, str(conflict), messages.ERROR)
            return redirect("admin:apikeys_custompermission_change", object_id)
        return answer

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        catalogue.delete(obj, actor=actor_of(request))


@finder("Permissions", "code or label", permission="apikeys.view_custompermission")
def find_permissions(term: Term) -> Iterator[Found]:
    for field in ("code", "label"):
        for permission in CustomPermission.objects.filter(**{f"{field}__icontains": term.text}):
            yield Found(permission, permission.code, permission.label)


def _keys(code: str, use: catalogue.Use) -> str:
    """Return how many keys hold a permission, as a link to them."""
    if not use.keys:
        return "None"
    address = f"{reverse('admin:apikeys_apikey_changelist')}?permission={code}"
    return format_html('<a class="latchkey-link" href="{}">{}</a>', address, f"{use.keys:,}")
