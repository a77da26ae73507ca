"""Customers in the admin."""

from typing import Any, ClassVar

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from apikeys.admin.columns import ENVIRONMENT_COLOURS
from apikeys.admin.fields import MetadataField
from apikeys.fields import JSONObjectField
from apikeys.guard.etags import etag
from customers.models import Customer, CustomerStatus

SHOWN = 10
TABS = (
    ("licenses", "Licenses"),
    ("keys", "Scoped keys"),
    ("telemetry", "Telemetry"),
    ("requests", "Requests"),
    ("jobs", "Jobs"),
)
STATUS_COLOURS = {
    CustomerStatus.ACTIVE.label: "success",
    CustomerStatus.SUSPENDED.label: "warning",
}


class CustomerForm(forms.ModelForm):
    """A customer's fields; a form that somebody else was faster with is refused."""

    seen = forms.CharField(widget=forms.HiddenInput, required=False)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance._state.adding:
            self.initial["seen"] = etag(self.instance)

    def clean(self) -> dict[str, Any]:
        """Compare with what is stored now, locked until it is saved."""
        cleaned: dict[str, Any] = super().clean() or {}
        stored = Customer.objects.select_for_update().filter(pk=self.instance.pk).first()
        if stored is not None and cleaned.get("seen") not in {"", etag(stored)}:
            raise forms.ValidationError(
                "The customer was changed after this page was opened. Reload it and try again."
            )
        return cleaned


@admin.register(Customer)
class CustomerAdmin(ModelAdmin):
    """Customers of each environment."""

    list_display = (
        "name",
        "in_environment",
        "in_status",
        "external_reference",
        "email",
        "created_at",
    )
    list_filter = (("environment", ChoicesDropdownFilter), ("status", ChoicesDropdownFilter))
    list_filter_submit = True
    list_per_page = 50
    formfield_overrides: ClassVar = {
        JSONObjectField: {"form_class": MetadataField, "widget": UnfoldAdminTextareaWidget}
    }
    search_fields = ("name", "external_reference", "email")
    search_help_text = "Name, reference or e-mail"
    show_full_result_count = False
    form = CustomerForm
    fields = ("name", "environment", "email", "external_reference", "status", "metadata", "seen")
    change_form_outer_after_template = "latchkey/customer_page.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        """Show the customer with what belongs to it, each part to whoever may see it."""
        customer = self.get_object(request, object_id)
        context: dict[str, Any] = {"customer": customer, "tabs": TABS}
        if customer is not None:
            may = request.user.has_perm
            if may("customers.view_license"):
                context["licenses"] = customer.licenses.all()[:SHOWN]
            if may("apikeys.view_apikey"):
                context["scopes"] = customer.key_scopes.select_related("key")[:SHOWN]
            if may("customers.view_telemetryevent"):
                context["telemetry"] = customer.telemetry.all()[:SHOWN]
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Keep the environment, once chosen."""
        return ("environment",) if obj else ()

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        """Find customers; for the key form only those of the environment it has chosen."""
        found, may_have_duplicates = super().get_search_results(request, queryset, search_term)
        environment = request.GET.get("environment")
        if request.path.endswith("/autocomplete/") and environment:
            found = found.filter(environment=environment)
        return found, may_have_duplicates

    @display(description="Environment", ordering="environment", label=ENVIRONMENT_COLOURS)
    def in_environment(self, customer: Customer) -> str:
        """Return the environment."""
        return customer.get_environment_display()

    @display(description="Status", ordering="status", label=STATUS_COLOURS)
    def in_status(self, customer: Customer) -> str:
        """Return the status."""
        return customer.get_status_display()
