"""Licenses in the admin."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from apikeys.admin.key_list import ENVIRONMENT_COLOURS
from audit.models import Event
from backoffice.action_forms import ActionFormAdmin
from backoffice.changelists.checked_list import CheckedList
from backoffice.columns import MINUTES, environment_column, time_column
from backoffice.dialogs import dialog_action, find
from backoffice.filters import ChoiceFilter
from backoffice.form_fields import MetadataField
from backoffice.links import link_to
from customers.licenses import license_keys, lifecycle
from customers.licenses.admin_forms import (
    SETTINGS,
    LicenseForm,
    ReinstateDialog,
    RenewDialog,
    RevokeDialog,
    SuspendDialog,
)
from customers.models import License, LicenseStatus
from database.fields import JSONObjectField

STATUS_COLOURS = {
    LicenseStatus.ACTIVE.label: "success",
    LicenseStatus.SUSPENDED.label: "warning",
    LicenseStatus.REVOKED.label: "danger",
    LicenseStatus.EXPIRED.label: "warning",
}
SHOWN = 50


class StatusFilter(ChoiceFilter):
    """Filters by the status of now."""

    title = parameter_name = "status"
    offered = LicenseStatus.choices

    def fitting(self, rows: Any, value: str) -> Any:
        return rows.with_status(value)


@admin.register(License)
class LicenseAdmin(ActionFormAdmin, CheckedList, ModelAdmin):
    """Licenses are revoked and never deleted, to keep their history."""

    form = LicenseForm
    list_display = (
        "named", "in_environment", "of_customer", "in_status", "taken", "expires", "issued",
    )  # fmt: skip
    list_filter = (
        ("environment", ChoicesDropdownFilter),
        StatusFilter,
        ("customer", AutocompleteSelectFilter),
    )
    list_filter_submit = True
    list_per_page = 50
    when_empty = "A license is issued to a customer: here, or by POST licenses."
    formfield_overrides: ClassVar = {
        JSONObjectField: {"form_class": MetadataField, "widget": UnfoldAdminTextareaWidget}
    }
    list_select_related = ("customer",)
    search_fields = ("product", "customer__name")
    search_help_text = "Product, customer or whole license key"
    show_full_result_count = False
    autocomplete_fields = ("customer",)
    fields = ("customer", *SETTINGS, "ticket", "seen")
    actions_detail = ("suspend", "reinstate", "renew", "revoke")
    change_form_outer_before_template = "customers/license_summary.html"
    change_form_outer_after_template = "customers/license_history.html"
    warn_unsaved_form = True

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).with_seats_taken()

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        """Find a license by its whole key, else by words of its product and customer.

        A search for a part of a key would tell it, letter by letter, to those who see it masked.
        """
        if (whole := license_keys.parse(search_term)) is not None:
            matches = queryset.filter(license_key=whole)
            if matches.exists():
                return matches, False
        return super().get_search_results(request, queryset, search_term)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_suspend_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._may_move(request, "suspend", object_id)

    def has_reinstate_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._may_move(request, "reinstate", object_id)

    def has_renew_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._may_move(request, "renew", object_id)

    def has_revoke_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return self._may_move(request, "revoke", object_id)

    @staticmethod
    def _may_move(request: HttpRequest, name: str, object_id: Any) -> bool:
        if not request.user.has_perm("customers.change_license"):
            return False
        found = find(License, object_id) if object_id else None
        return found is None or found.status in lifecycle.MOVES[name].sources

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("customer",) if obj else ()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        license_ = self.get_object(request, object_id)
        context: dict[str, Any] = {"license": license_}
        if license_ is not None:
            whole = license_.license_key
            events = Event.objects.about(license_)
            may_change = self.has_change_permission(request, license_)
            context |= {
                "license_key": whole if may_change else license_keys.masked(whole),
                "status_colour": STATUS_COLOURS[license_.effective_status.label],
                "activations": license_.activations.all()[:SHOWN],
                "more_activations": max(0, license_.seats_taken - SHOWN),
                "events": events[:SHOWN],
                "more_events": max(0, events.count() - SHOWN),
            }
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    @dialog_action(
        SuspendDialog, label="Suspend", title="Suspend {}",
        description="It is refused until reinstated.",
        permission="suspend", icon="pause", is_dangerous=True,
    )  # fmt: skip
    def suspend(self, request: HttpRequest, license_: License) -> str:
        return f"{license_} is suspended."

    @dialog_action(
        ReinstateDialog, label="Reinstate", title="Reinstate {}",
        description="It is good again at once.",
        permission="reinstate", icon="play_arrow",
    )  # fmt: skip
    def reinstate(self, request: HttpRequest, license_: License) -> str:
        return f"{license_} is reinstated."

    @dialog_action(
        RenewDialog, label="Renew", title="Renew {}",
        description="The new expiry must be later.",
        permission="renew", icon="update",
    )  # fmt: skip
    def renew(self, request: HttpRequest, license_: License) -> str:
        return f"{license_} is renewed."

    @dialog_action(
        RevokeDialog, label="Revoke", title="Revoke {}",
        description="For good: no move leads back.",
        permission="revoke", icon="block", is_dangerous=True,
    )  # fmt: skip
    def revoke(self, request: HttpRequest, license_: License) -> str:
        return f"{license_} is revoked."

    @display(description="License", header=True)
    def named(self, license_: License) -> list[str]:
        return [license_.product, license_keys.masked(license_.license_key)]

    in_environment = environment_column(ENVIRONMENT_COLOURS)
    expires = time_column("expires_at", "Expires", shown=MINUTES, ordering="expires_at")
    issued = time_column("created_at", "Issued", shown=MINUTES, ordering="created_at")

    @display(description="Customer")
    def of_customer(self, license_: License) -> str:
        return link_to(license_.customer)

    @display(description="Status", label=STATUS_COLOURS)
    def in_status(self, license_: License) -> str:
        return str(license_.effective_status.label)

    @display(description="Seats")
    def taken(self, license_: Any) -> str:
        return f"{license_.seats_taken} of {license_.seats}"
