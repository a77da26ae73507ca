"""The key list and its filters, the key's page, and the one page that shows a credential."""

from datetime import timedelta
from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.template.response import TemplateResponse
from django.utils import timezone
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display

from apikeys import catalogue
from apikeys.admin.bulk_actions import BulkActions
from apikeys.admin.key_columns import STATUS_COLOURS, KeyColumns
from apikeys.admin.key_dialogs import KeyActions, issued_context, may
from apikeys.admin.key_forms import ChangeKeyForm, CreateKeyForm, NarrowKeyForm
from apikeys.limits import LIMIT_FIELDS
from apikeys.models import ApiKey, Status
from backoffice.action_forms import ActionFormAdmin
from backoffice.filters import ChoiceFilter
from backoffice.lists import CheckedList
from backoffice.page_sections import sections_of

SHOWN_EVENTS = 50


class StatusFilter(ChoiceFilter):
    """Active, inactive, expired."""

    title = parameter_name = "status"
    offered = Status.choices

    def fitting(self, rows: Any, value: str) -> Any:
        return rows.with_status(value)


class PermissionFilter(ChoiceFilter):
    """Keys that were given a permission."""

    title = parameter_name = "permission"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return catalogue.choices()

    def fitting(self, rows: Any, value: str) -> Any:
        return rows.granted(value)


class UseFilter(ChoiceFilter):
    """Keys that were never used, or not for a while."""

    title = "last used"
    parameter_name = "use"
    offered = (
        ("never", "Never used"),
        *((f"idle-{days}", f"Not for {days} days") for days in (30, 90, 365)),
    )

    def fitting(self, rows: Any, value: str) -> Any:
        if value == "never":
            return rows.never_used()
        days = int(value.removeprefix("idle-"))
        return rows.idle_since(timezone.now() - timedelta(days=days))


class ExpiryFilter(ChoiceFilter):
    """Keys whose time runs out."""

    title = parameter_name = "expiry"
    offered = (
        *((f"{days}", f"Within {days} days") for days in (7, 30, 90)),
        ("none", "Never expires"),
    )

    def fitting(self, rows: Any, value: str) -> Any:
        if value == "none":
            return rows.filter(expires_at=None)
        return rows.expiring_before(timezone.now() + timedelta(days=int(value)))


@admin.register(ApiKey)
class KeyAdmin(KeyColumns, KeyActions, BulkActions, ActionFormAdmin, CheckedList, ModelAdmin):
    """Keys are revoked and never deleted, to keep their history."""

    list_display = (
        "named",
        "in_environment",
        "in_status",
        "permission_summary",
        "limits_in_force",
        "used",
        "expires",
    )
    list_filter = (
        ("environment", ChoicesDropdownFilter),
        StatusFilter,
        PermissionFilter,
        ("customers", AutocompleteSelectFilter),
        UseFilter,
        ExpiryFilter,
    )
    list_filter_submit = True
    list_per_page = 50
    search_fields = ("name", "id")
    search_help_text = "Name or key id"
    show_full_result_count = False
    actions = ("revoke_selected", "activate_selected")
    actions_detail = ("regenerate", "revoke", "activate")
    conditional_fields = {
        "expires_on": "expiry == 'custom'",
        "customers": "customer_scope == 'selected'",
    }
    change_form_outer_before_template = "apikeys/key_summary.html"
    change_form_outer_after_template = "apikeys/key_history.html"
    warn_unsaved_form = True

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        page = super().get_changelist_instance(request)
        page.result_list = catalogue.with_labels(page.result_list)
        return page

    # --- Who may do what ----------------------------------------------------------------------

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return may(request, "change") or may(request, "narrow")

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        """Allow a pop-up to name a key by its key id and by nothing else."""
        return to_field == "id"

    # --- The form ------------------------------------------------------------------------------

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kw: Any
    ) -> Any:
        if obj is None:
            return CreateKeyForm
        return ChangeKeyForm if may(request, "change") else NarrowKeyForm

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        limits = ("Rate limits", {"fields": LIMIT_FIELDS})
        if obj is not None and not may(request, "change"):
            is_operator = may(request, "narrow")
            granted = ["permissions", "revision"] if is_operator else ["granted"]
            return [
                ("Permissions", {"fields": granted}),
                limits if is_operator else ("Rate limits", {"fields": ["limits_in_force"]}),
                ("Reach", {"fields": ["reach", "allowed_networks"]}),
            ]
        first = ["name", "environment", "ticket"] if obj is None else ["name", "revision"]
        return [
            (None, {"fields": first}),
            ("Permissions", {"fields": ["permissions"]}),
            limits,
            ("Expiry", {"fields": ["expiry", "expires_on"]}),
            ("Reach", {"fields": ["customer_scope", "customers", "networks"]}),
        ]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None or may(request, "change"):
            return ()
        return ("granted", "limits_in_force", "reach", "allowed_networks")

    @display(description="Permissions")
    def granted(self, key: ApiKey) -> str:
        return ", ".join(catalogue.labels(key.permissions)) or "None"

    @display(description="Reaches")
    def reach(self, key: ApiKey) -> str:
        if not key.is_scoped:
            return "All customers"
        return ", ".join(str(customer) for customer in key.customers.all()) or "No customer"

    @display(description="Allowed networks")
    def allowed_networks(self, key: ApiKey) -> str:
        return ", ".join(key.networks) or "Any"

    def add_view(self, request: HttpRequest, form_url: str = "", extra_context: Any = None) -> Any:
        labels = {"title": "Create API Key", "save_label": "Create API Key"}
        return super().add_view(request, form_url, labels | (extra_context or {}))

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        key = self.get_object(request, object_id)
        context = {
            "title": key.name if key else "",
            "save_label": "Save changes",
            "key": key,
            "status_colour": STATUS_COLOURS[str(key.status.label)] if key else "",
            "secrets": key.secrets.all() if key else [],
            "events": key.events.select_related("actor")[:SHOWN_EVENTS] if key else [],
            "now": timezone.now(),
            "sections": sections_of(request, key) if key else [],
            **(extra_context or {}),
        }
        return super().change_view(request, object_id, form_url, context)

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        """Answer a creation with the one page that shows the credential; ``obj`` is issued."""
        context = self.admin_site.each_context(request) | issued_context(obj)
        context |= {"title": "API key created", "opts": self.opts}
        response = TemplateResponse(
            request, "apikeys/issued_page.html", context, headers={"Cache-Control": "no-store"}
        )
        # Now, within the transaction: a key that cannot be shown is not made.
        return response.render()
