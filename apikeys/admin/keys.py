"""The key list and its filters, the key's page, and the one page that shows a credential."""

from typing import Any

from django.contrib import admin
from django.db.models import Count, F, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.template.response import TemplateResponse
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display

from apikeys import catalogue
from apikeys.admin.bulk_actions import BulkActions
from apikeys.admin.key_dialogs import LIKE, KeyActions, issued_context, may
from apikeys.admin.key_forms import ChangeKeyForm, CreateKeyForm, NarrowKeyForm, initial_like
from apikeys.admin.key_list import (
    ExpiryFilter,
    KeyColumns,
    OwnerFilter,
    PermissionFilter,
    StatusFilter,
    TagFilter,
    UseFilter,
)
from apikeys.admin.key_page import KeyPage, same_name
from apikeys.credentials import KEY_ID, cut_to_key_id
from apikeys.limits import LIMIT_FIELDS
from apikeys.models import ApiKey, KeyCustomer
from backoffice.action_forms import ActionFormAdmin
from backoffice.changelists.checked_list import CheckedList
from backoffice.columns import ExtraColumns
from backoffice.dialogs import find


@admin.register(ApiKey)
class KeyAdmin(
    KeyColumns,
    KeyActions,
    KeyPage,
    BulkActions,
    ActionFormAdmin,
    ExtraColumns,
    CheckedList,
    ModelAdmin,
):
    """Keys are revoked and never deleted, to keep their history."""

    list_display = (
        "named",
        "in_environment",
        "in_status",
        "permission_summary",
        "limits_in_force",
        "used",
        "expires",
        "reaches",
        "owned",
        "made",
    )
    list_select_related = ("created_by",)
    list_filter = (
        ("environment", ChoicesDropdownFilter),
        StatusFilter,
        PermissionFilter,
        ("customers", AutocompleteSelectFilter),
        UseFilter,
        ExpiryFilter,
        OwnerFilter,
        TagFilter,
    )
    list_filter_submit = True
    list_per_page = 50
    when_empty = (
        "A key lets a program call the API of one environment."
        " Its credential is shown once, when it is created."
    )
    search_fields = ("name", "id", "owner", "tags")
    search_help_text = "Name, key id, owner or tag"
    show_full_result_count = False
    actions = ("change_selected", "revoke_selected", "activate_selected")
    actions_detail: tuple[str, ...] = ("clone", "regenerate", "revoke", "activate")
    conditional_fields = {
        "expires_on": "expiry == 'custom'",
        "customers": "customer_scope == 'selected'",
    }
    change_form_outer_before_template = "backoffice/page_tabs.html"
    change_form_after_template = "apikeys/key_form_hints.html"
    custom_urls = (("same-name/", "apikeys_apikey_same_name", same_name),)
    warn_unsaved_form = True

    class Media:
        css = {"all": ("latchkey/key_page.css",)}

    def get_queryset(self, request: HttpRequest) -> Any:
        reached = KeyCustomer.objects.filter(key=OuterRef("pk")).order_by().values("key")
        count = Subquery(reached.annotate(number=Count("pk")).values("number"))
        return super().get_queryset(request).annotate(customer_count=Coalesce(count, 0))

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        """Find a key by its id alone, in whatever form, else by words of its name."""
        term = cut_to_key_id(search_term.strip())
        if KEY_ID.fullmatch(term) and (matches := queryset.filter(pk=term)).exists():
            return matches, False
        return super().get_search_results(request, queryset, term)

    def get_ordering(self, request: HttpRequest) -> Any:
        """Where the last use is asked for, begin with keys that stopped being used long ago."""
        if request.GET.get(UseFilter.parameter_name):
            return (F("last_used_at").asc(nulls_last=True), *super().get_ordering(request))
        return super().get_ordering(request)

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
                (None, {"fields": granted}),
                limits if is_operator else ("Rate limits", {"fields": ["limits_in_force"]}),
                ("Customers and networks", {"fields": ["reach", "allowed_networks"]}),
            ]
        first = ["name", "environment", "ticket"] if obj is None else ["name", "revision"]
        return [
            (None, {"fields": first}),
            (None, {"fields": ["permissions"]}),
            limits,
            ("Expiry", {"fields": ["expiry", "expires_on"]}),
            ("Customers and networks", {"fields": ["customer_scope", "customers", "networks"]}),
            ("Notes", {"fields": ["owner", "tags", "note"]}),
        ]

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Begin with what another key has, for a key like it."""
        model = find(ApiKey, request.GET.get(LIKE, ""))
        if model is None or not self.has_view_permission(request, model):
            return super().get_changeform_initial_data(request)  # type: ignore[no-any-return]
        return initial_like(model)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        if obj is None or may(request, "change"):
            return ()
        return ("granted", "limits_in_force", "reach", "allowed_networks")

    @display(description="Permissions")
    def granted(self, key: ApiKey) -> str:
        return ", ".join(catalogue.labels(key.permissions)) or "None"

    @display(description="Customers")
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

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: Any = None) -> Any:
        """Answer a creation with the one page that shows the credential; ``obj`` is issued."""
        context = self.admin_site.each_context(request) | issued_context(obj)
        context |= {"title": "API key created", "opts": self.opts}
        response = TemplateResponse(
            request, "apikeys/issued_page.html", context, headers={"Cache-Control": "no-store"}
        )
        # Now, within the transaction: a key that cannot be shown is not made.
        return response.render()
