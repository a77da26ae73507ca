"""The audit trail, read-only."""

from django.contrib import admin
from django.utils.html import format_html_join
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import ChoicesDropdownFilter
from unfold.decorators import display

from apikeys.models import Action, Event
from backoffice.columns import time_column
from backoffice.filters import TimeFilter
from backoffice.links import link_to
from backoffice.lists import CheckedList
from backoffice.read_only import ReadOnlyAdmin

ACTION_COLOURS = {
    Action.CREATED.label: "success",
    Action.UPDATED.label: "info",
    Action.REGENERATED.label: "warning",
    Action.REVOKED.label: "danger",
    Action.ACTIVATED.label: "success",
}


@admin.register(Event)
class EventAdmin(ReadOnlyAdmin, CheckedList, ModelAdmin):
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

    when = time_column("created_at", "When", ordering="created_at")

    @display(description="Action", ordering="action", label=ACTION_COLOURS)
    def what(self, event: Event) -> str:
        return event.get_action_display()

    @display(description="Key", ordering="key__name")
    def of_key(self, event: Event) -> str:
        return link_to(event.key)

    @display(description="Changes")
    def changed(self, event: Event) -> str:
        rows = (
            (name, "" if before is None else f"{before} → ", after)
            for name, (before, after) in event.changes.items()
        )
        return format_html_join("", "<div><strong>{}</strong>: {}{}</div>", rows)
