"""Telemetry in the admin: a list that pages by id, and a chart of the last day."""

import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Sum
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display

from apikeys.admin.key_list import ENVIRONMENT_COLOURS
from apikeys.environments import Environment
from backoffice import charts
from backoffice.changelists.pagination import KeysetChangeList
from backoffice.columns import environment_column, time_column
from backoffice.filters import OwnFiltersOnly
from backoffice.links import link_to
from backoffice.read_only import ReadOnlyAdmin
from customers.models import TelemetryEvent, TelemetryTotal
from customers.models.telemetry import ALL_CUSTOMERS

HOURS = 24
MAX_TYPES = 5


@admin.register(TelemetryEvent)
class TelemetryAdmin(ReadOnlyAdmin, OwnFiltersOnly, ModelAdmin):
    """What customers' installations reported, the last received first."""

    list_display = ("received", "in_environment", "type", "of_customer", "occurred", "shown")
    list_display_links = ("received",)
    list_filter = (("environment", ChoicesDropdownFilter), ("customer", AutocompleteSelectFilter))
    list_filter_submit = True
    list_per_page = 50
    when_empty = "Events come by POST telemetry, with a key that has telemetry:write."
    list_select_related = ("customer",)
    list_before_template = "customers/telemetry_chart.html"
    search_fields = ("type",)
    search_help_text = "The whole type, or an event id"
    show_full_result_count = False
    sortable_by: tuple[str, ...] = ()
    ordering = ("-pk",)
    fields = (
        "received", "occurred", "in_environment", "of_customer", "license", "type", "event_id",
        "pretty",
    )  # fmt: skip
    readonly_fields = fields

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return KeysetChangeList

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        term = search_term.strip()
        if term:
            matches = queryset.filter(type=term)
            queryset = matches if matches.exists() else queryset.filter(event_id=term)
        return queryset, False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        context = {"chart": _chart(timezone.now()), "stacked_options": charts.STACKED_OPTIONS}
        return super().changelist_view(request, context | (extra_context or {}))

    received = time_column("received_at", "Received")
    occurred = time_column("occurred_at", "Occurred")
    in_environment = environment_column(ENVIRONMENT_COLOURS)

    @display(description="Customer")
    def of_customer(self, event: TelemetryEvent) -> str:
        return link_to(event.customer)

    @display(description="Properties")
    def shown(self, event: TelemetryEvent) -> str:
        text = json.dumps(event.properties, ensure_ascii=False) if event.properties else ""
        return format_html('<span class="latchkey-path" title="{}">{}</span>', text[:1000], text)

    @display(description="Properties")
    def pretty(self, event: TelemetryEvent) -> str:
        text = json.dumps(event.properties, ensure_ascii=False, indent=2)
        return format_html('<pre class="latchkey-pre">{}</pre>', text)


def _chart(now: datetime) -> str:
    """Return the last day's events by hour and type, as Chart.js takes them."""
    end = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    start = end - timedelta(hours=HOURS)
    rows = (
        TelemetryTotal.objects.filter(
            environment__in=Environment.values, subject=ALL_CUSTOMERS, hour__gte=start, hour__lt=end
        )
        .values_list("hour", "type")
        .annotate(count=Sum("number"))
    )
    counts: dict[str, Counter[int]] = {}
    for hour, kind, count in rows:
        counts.setdefault(kind, Counter())[(hour - start) // timedelta(hours=1)] = count
    by_total = sorted(counts, key=lambda kind: -counts[kind].total())
    series = {kind: counts[kind] for kind in by_total[:MAX_TYPES]}
    if others := by_total[MAX_TYPES:]:
        series["other types"] = sum((counts[kind] for kind in others), Counter())
    labels = [f"{start + timedelta(hours=number):%H:00}" for number in range(HOURS)]
    return charts.stacked(
        labels,
        {
            kind: ([found[number] for number in range(HOURS)], colour)
            for (kind, found), colour in zip(series.items(), charts.COLOURS, strict=False)
        },
    )
