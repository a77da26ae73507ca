"""Licenses in the admin: issued, changed, and moved by dialogs."""

from typing import Any, ClassVar

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import (
    AutocompleteSelectFilter,
    ChoicesDropdownFilter,
    DropdownFilter,
)
from unfold.decorators import action, display
from unfold.enums import ActionVariant
from unfold.widgets import UnfoldAdminTextareaWidget

from apikeys.admin.key_columns import ENVIRONMENT_COLOURS
from backoffice.action_forms import find
from backoffice.form_fields import MetadataField
from backoffice.refused_forms import RefusedForms
from backoffice.search import BoundedSearch
from backoffice.selection import CheckedSelection
from customers.licenses import license_keys, lifecycle
from customers.licenses.admin_forms import (
    SETTINGS,
    LicenseForm,
    MoveDialog,
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


def _dialog(title: str, description: str, form: type[MoveDialog]) -> dict[str, Any]:
    return {
        "title": title,
        "description": description,
        "form_class": form,
        "form_submit_text": title.split(maxsplit=1)[0],
    }


class StatusFilter(DropdownFilter):
    """What a license is now."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return LicenseStatus.choices

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() in LicenseStatus.values:
            return queryset.with_status(self.value())
        return queryset


FILTERS = {"environment__exact", "customer__id__exact", StatusFilter.parameter_name}


@admin.register(License)
class LicenseAdmin(RefusedForms, BoundedSearch, CheckedSelection, ModelAdmin):
    """Licenses of each environment; never deleted, for their history stays."""

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

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup in FILTERS

    def get_queryset(self, request: HttpRequest) -> Any:
        return super().get_queryset(request).with_seats_taken()

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        """Find a license by its whole key, else by words of its product and customer.

        A search for a part of a key would tell it, letter by letter, to those who see it masked.
        """
        if (whole := license_keys.parse(search_term)) is not None:
            found = queryset.filter(license_key=whole)
            if found.exists():
                return found, False
        return super().get_search_results(request, queryset, search_term)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody: a revoked license is as good as gone."""
        return False

    def has_suspend_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Offered to those who may change licenses, where the move is possible."""
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

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> Any:
        form = super().get_form(request, obj, change, **kwargs)
        return type(form.__name__, (form,), {"request": request})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("customer",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: Any) -> None:
        """Do nothing: the form has acted."""

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """Show the license with its machines and its history."""
        found = self.get_object(request, object_id)
        context: dict[str, Any] = {"license": found}
        if found is not None:
            whole = found.license_key
            may_change = self.has_change_permission(request, found)
            context |= {
                "license_key": whole if may_change else license_keys.masked(whole),
                "status_colour": STATUS_COLOURS[found.effective_status.label],
                "activations": found.activations.all()[:SHOWN],
                "more_activations": max(0, found.seats_taken - SHOWN),
                "events": found.events.all()[:SHOWN],
                "more_events": max(0, found.events.count() - SHOWN),
            }
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    @action(
        description="Suspend", permissions=["suspend"], icon="pause",
        dialog=_dialog("Suspend the license", "It is refused until reinstated.", SuspendDialog),
    )  # fmt: skip
    def suspend(self, request: HttpRequest, form: MoveDialog, object_id: str) -> HttpResponse:
        return self._moved(request, form, "suspended")

    @action(
        description="Reinstate", permissions=["reinstate"], icon="play_arrow",
        variant=ActionVariant.SUCCESS,
        dialog=_dialog("Reinstate the license", "It is good again at once.", ReinstateDialog),
    )  # fmt: skip
    def reinstate(self, request: HttpRequest, form: MoveDialog, object_id: str) -> HttpResponse:
        return self._moved(request, form, "reinstated")

    @action(
        description="Renew", permissions=["renew"], icon="update",
        dialog=_dialog("Renew the license", "The new expiry must be later.", RenewDialog),
    )  # fmt: skip
    def renew(self, request: HttpRequest, form: MoveDialog, object_id: str) -> HttpResponse:
        return self._moved(request, form, "renewed")

    @action(
        description="Revoke", permissions=["revoke"], icon="block", variant=ActionVariant.DANGER,
        dialog=_dialog("Revoke the license", "For good: no move leads back.", RevokeDialog),
    )  # fmt: skip
    def revoke(self, request: HttpRequest, form: MoveDialog, object_id: str) -> HttpResponse:
        return self._moved(request, form, "revoked")

    def _moved(self, request: HttpRequest, form: MoveDialog, outcome: str) -> HttpResponse:
        self.message_user(request, f"{form.row} is {outcome}.")
        address = reverse("admin:customers_license_change", args=(form.row.pk,))
        return HttpResponse(headers={"HX-Redirect": address})

    @display(description="License", header=True)
    def named(self, license_: License) -> list[str]:
        return [license_.product, license_keys.masked(license_.license_key)]

    @display(description="Environment", label=ENVIRONMENT_COLOURS)
    def in_environment(self, license_: License) -> str:
        return license_.get_environment_display()

    @display(description="Customer")
    def of_customer(self, license_: License) -> str:
        address = reverse("admin:customers_customer_change", args=(license_.customer_id,))
        return format_html('<a class="latchkey-link" href="{}">{}</a>', address, license_.customer)

    @display(description="Status", label=STATUS_COLOURS)
    def in_status(self, license_: License) -> str:
        return str(license_.effective_status.label)

    @display(description="Seats")
    def taken(self, license_: Any) -> str:
        """Return how many seats are taken, of how many."""
        return f"{license_.seats_taken} of {license_.seats}"

    @display(description="Expires (UTC)", ordering="expires_at")
    def expires(self, license_: License) -> str:
        return f"{license_.expires_at:%Y-%m-%d %H:%M}" if license_.expires_at else "Never"

    @display(description="Issued (UTC)", ordering="created_at")
    def issued(self, license_: License) -> str:
        return f"{license_.created_at:%Y-%m-%d %H:%M}"
