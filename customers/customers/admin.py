"""Customers in the admin."""

from typing import Any, ClassVar

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, QueryDict
from django.http.response import HttpResponseBase
from django.shortcuts import redirect
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display
from unfold.widgets import UnfoldAdminTextareaWidget

from apikeys.admin.key_list import ENVIRONMENT_COLOURS
from apikeys.models import ApiKey
from audit.actors import actor_of
from audit.models import Event
from backoffice.action_forms import ActionFormAdmin
from backoffice.changelists.checked_list import CheckedList
from backoffice.columns import MINUTES, environment_column, time_column
from backoffice.form_fields import LineField, MetadataField
from backoffice.page_sections import sections_of
from customers.customers import lifecycle
from customers.models import Customer, CustomerStatus
from customers.seen_form import SeenForm
from database.fields import JSONObjectField
from database.refusals import Conflict

SHOWN = 10
SHOWN_EVENTS = 50
# Each with the permission that it takes to see it.
TABS = (
    ("licenses", "Licenses", "customers.view_license"),
    ("keys", "Scoped keys", "apikeys.view_apikey"),
    ("telemetry", "Telemetry", "customers.view_telemetryevent"),
)
STATUS_COLOURS = {CustomerStatus.ACTIVE.label: "success", CustomerStatus.SUSPENDED.label: "warning"}


class CustomerForm(SeenForm):
    """A customer's fields."""

    class Meta:
        field_classes = {"name": LineField}

    def perform(self, request: HttpRequest) -> Customer:
        actor = actor_of(request)
        fields = {name: self.cleaned_data[name] for name in self.changed_data if name != "seen"}
        if self.instance._state.adding:
            return lifecycle.create(actor=actor, **fields)
        try:
            return lifecycle.update(
                self.instance, actor=actor, fields=fields, precondition=self.require_seen
            )
        except Customer.DoesNotExist:
            raise Conflict("The customer was deleted. Go back to the list.") from None


@admin.register(Customer)
class CustomerAdmin(ActionFormAdmin, CheckedList, ModelAdmin):
    """Customers of each environment."""

    list_display = ("name", "in_environment", "in_status", "external_reference", "email", "made")
    list_filter = (("environment", ChoicesDropdownFilter), ("status", ChoicesDropdownFilter))
    list_filter_submit = True
    list_per_page = 50
    when_empty = "Create them here, or send POST customers with a key that has customers:write."
    formfield_overrides: ClassVar = {
        JSONObjectField: {"form_class": MetadataField, "widget": UnfoldAdminTextareaWidget}
    }
    search_fields = ("name", "external_reference", "email")
    search_help_text = "Name, reference or e-mail"
    show_full_result_count = False
    form = CustomerForm
    fields = ("name", "environment", "email", "external_reference", "status", "metadata", "seen")
    change_form_outer_after_template = "customers/customer_page.html"

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        customer = self.get_object(request, object_id)
        sections = sections_of(request, customer) if customer else []
        tabs = {name: label for name, label, needed in TABS if request.user.has_perm(needed)}
        tabs |= {section["name"]: section["label"] for section in sections}
        context: dict[str, Any] = {
            "customer": customer,
            "tabs": tabs,
            "first_tab": next(iter(tabs), ""),
            "sections": sections,
        }
        if customer is not None:
            context["licenses"] = customer.licenses.all()[:SHOWN]
            context["scopes"] = customer.key_scopes.select_related("key")[:SHOWN]
            context["telemetry"] = customer.telemetry.all()[:SHOWN]
            events = Event.objects.about(customer)
            context["events"] = events[:SHOWN_EVENTS]
            context["more_events"] = max(0, events.count() - SHOWN_EVENTS)
        return super().change_view(request, object_id, form_url, context | (extra_context or {}))

    def get_actions(self, request: HttpRequest) -> Any:
        """Offer no bulk deletion: each customer needs its own check of what belongs to it."""
        actions = super().get_actions(request)
        actions.pop("delete_selected", None)
        return actions

    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: Any = None
    ) -> HttpResponseBase:
        """Refuse at once while something belongs to the customer."""
        customer = self.get_object(request, object_id)
        may = customer is not None and self.has_delete_permission(request, customer)
        if may and (customer.licenses.exists() or customer.telemetry.exists()):
            return self._still_has(request, lifecycle.STILL_HAS, object_id)
        try:
            answer: HttpResponseBase = super().delete_view(request, object_id, extra_context)
        except Conflict as conflict:
            return self._still_has(request, str(conflict), object_id)
        return answer

    def _still_has(self, request: HttpRequest, text: str, object_id: str) -> HttpResponseBase:
        self.message_user(request, text, messages.ERROR)
        return redirect("admin:customers_customer_change", object_id)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        lifecycle.delete(obj, actor=actor_of(request))

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return ("environment",) if obj else ()

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        """Search customers; the form of a key gets those of the key's environment alone."""
        matches, may_have_duplicates = super().get_search_results(request, queryset, search_term)
        if request.path.endswith("/autocomplete/"):
            matches = _of_one_environment(matches, request.GET)
        return matches, may_have_duplicates

    in_environment = environment_column(ENVIRONMENT_COLOURS, ordering="environment")
    made = time_column("created_at", "Created", shown=MINUTES, ordering="created_at")

    @display(description="Status", ordering="status", label=STATUS_COLOURS)
    def in_status(self, customer: Customer) -> str:
        return customer.get_status_display()


def _of_one_environment(customers: QuerySet[Customer], params: QueryDict) -> QuerySet[Customer]:
    if key_id := params.get("key"):
        environments = ApiKey.objects.filter(pk=key_id).values("environment")
        return customers.filter(environment__in=environments)
    if environment := params.get("environment"):
        return customers.filter(environment=environment)
    return customers
