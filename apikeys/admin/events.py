"""The audit trail, to read."""

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from apikeys.models import Action, Event
from backoffice.filters import TimeFilter
from backoffice.search import BoundedSearch

ACTION_COLOURS = {
    Action.CREATED.label: "success",
    Action.UPDATED.label: "info",
    Action.REGENERATED.label: "warning",
    Action.REVOKED.label: "danger",
    Action.ACTIVATED.label: "success",
}
FILTERS = {
    "action__exact",
    "source__exact",
    *(f"created_at_{end}_{part}" for end in ("from", "to") for part in (0, 1)),
}


@admin.register(Event)
class EventAdmin(BoundedSearch, ModelAdmin):
    """Who did what to which key, when, from where."""

    list_display = ("when", "what", "of_key", "actor_name", "source", "address", "reason")
    list_display_links = ("when",)
    list_filter = (
        ("action", ChoicesDropdownFilter),
        ("source", ChoicesDropdownFilter),
        ("created_at", TimeFilter),
    )
    list_filter_submit = True
    list_per_page = 50
    list_select_related = ("key",)
    search_fields = ("key__id", "key__name", "actor_name")
    search_help_text = "Key, key id or user name"
    show_full_result_count = False
    fields = ("when", "what", "of_key", "actor_name", "source", "address", "reason", "changed")
    readonly_fields = fields

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return lookup in FILTERS

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    @display(description="When (UTC)", ordering="created_at")
    def when(self, event: Event) -> str:
        return f"{event.created_at:%Y-%m-%d %H:%M:%S}"

    @display(description="Action", ordering="action", label=ACTION_COLOURS)
    def what(self, event: Event) -> str:
        return event.get_action_display()

    @display(description="Key", ordering="key__name")
    def of_key(self, event: Event) -> str:
        address = reverse("admin:apikeys_apikey_change", args=(event.key_id,))
        return format_html('<a class="latchkey-link" href="{}">{}</a>', address, event.key)

    @display(description="Changes")
    def changed(self, event: Event) -> str:
        """Return each setting with its values before and after."""
        rows = (
            (name, "" if before is None else f"{before} → ", after)
            for name, (before, after) in event.changes.items()
        )
        return format_html_join("", "<div><strong>{}</strong>: {}{}</div>", rows)
