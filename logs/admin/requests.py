"""The request log in the admin, read-only."""

import ipaddress
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponseRedirect, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display

from apikeys.admin.key_columns import ENVIRONMENT_COLOURS
from backoffice.columns import SECONDS, environment_column
from backoffice.filters import OwnFiltersOnly
from backoffice.links import link_to
from backoffice.pagination import KeysetChangeList
from backoffice.read_only import ReadOnlyAdmin
from logs import export
from logs.admin.content import content_of
from logs.admin.filters import (
    CodeFilter,
    KindFilter,
    MethodFilter,
    ServiceFilter,
    SlowFilter,
    StatusClassFilter,
    TimeFilter,
)
from logs.models import Kind, RequestLog

# How far back a part of a path is looked for: nothing indexes the middle of a text.
SEARCHED = 100_000
STATUS_COLOURS = {"2": "success", "3": "info", "4": "warning", "5": "danger"}


@admin.register(RequestLog)
class RequestLogAdmin(ReadOnlyAdmin, OwnFiltersOnly, ModelAdmin):
    """Every request under ``/api/`` and every decision for a service, newest first."""

    list_display = (
        "when",
        "in_environment",
        "of_key",
        "asked",
        "answered",
        "took",
        "of_customer",
        "address",
    )
    list_display_links = ("when",)
    list_filter = (
        ("environment", ChoicesDropdownFilter),
        ("key", AutocompleteSelectFilter),
        ("customer", AutocompleteSelectFilter),
        KindFilter,
        ServiceFilter,
        StatusClassFilter,
        CodeFilter,
        MethodFilter,
        ("at", TimeFilter),
        SlowFilter,
    )
    list_filter_submit = True
    list_per_page = 50
    list_select_related = ("key",)
    list_before_template = "logs/requests_export.html"
    search_fields = ("pk",)
    search_help_text = "Request id, job id, address, or a part of the path"
    show_full_result_count = False
    sortable_by: Sequence[str] = ()
    ordering = ("-pk",)

    def get_queryset(self, request: HttpRequest) -> Any:
        """Read customers apart: a joined one would hide the requests about one that is gone."""
        return super().get_queryset(request).prefetch_related("customer")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return KeysetChangeList

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        """Find by what the term looks like: an id, an address, else a part of the path."""
        term = search_term.strip()
        if not term:
            return queryset, False
        try:
            identifier = UUID(term)
        except ValueError:
            pass
        else:
            matches = queryset.filter(pk=identifier)
            return (matches if matches.exists() else queryset.filter(job_id=identifier)), False
        try:
            return queryset.filter(address=str(ipaddress.ip_address(term))), False
        except ValueError:
            pass
        oldest = queryset.order_by("-pk").values_list("pk", flat=True)[SEARCHED : SEARCHED + 1]
        floor = list(oldest)
        if floor:
            queryset = queryset.filter(pk__gt=floor[0])
        return queryset.filter(path__contains=term), False

    def get_urls(self) -> Any:
        view = self.admin_site.admin_view(self.export)
        return [
            path("export/<str:form>/", view, name="logs_requestlog_export"),
            *super().get_urls(),
        ]

    def export(self, request: HttpRequest, form: str) -> HttpResponseBase:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if form not in export.FORMATS:
            raise Http404
        try:
            rows = self.get_changelist_instance(request).queryset
        except IncorrectLookupParameters:
            return HttpResponseRedirect(reverse("admin:logs_requestlog_changelist") + "?e=1")
        return StreamingHttpResponse(
            export.lines(rows, form),
            content_type=export.FORMATS[form],
            headers={"Content-Disposition": f'attachment; filename="requests.{form}"'},
        )

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None
    ) -> Any:
        record = self.get_object(request, object_id)
        if record is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)
        if not self.has_view_permission(request, record):
            raise PermissionDenied
        context = {
            **self.admin_site.each_context(request),
            "title": str(record)[:120],
            "opts": self.opts,
            "record": record,
            "customer_link": link_to(record.customer),
            "caller_link": link_to(record.caller, record.caller and record.caller.name),
            "is_decision": record.kind == Kind.DECISION,
            "status_colour": STATUS_COLOURS.get(str(record.status_class), "info"),
            "milliseconds": record.duration / 1000,
            **content_of(record),
        }
        return TemplateResponse(request, "logs/request_page.html", context)

    @display(description="Time (UTC)")
    def when(self, record: RequestLog) -> str:
        return f"{record.at:{SECONDS}}.{record.at.microsecond // 1000:03}"

    in_environment = environment_column(ENVIRONMENT_COLOURS)

    @display(description="Key")
    def of_key(self, record: RequestLog) -> str:
        return link_to(record.key, record.key and record.key.name)

    @display(description="Request")
    def asked(self, record: RequestLog) -> str:
        path = record.path.removeprefix(f"/api/{record.environment}/v1/")
        asked = format_html(
            '<span class="latchkey-path" title="{}">{} <strong>{}</strong></span>',
            record.path, record.method, path,
        )  # fmt: skip
        if record.kind != Kind.DECISION:
            return asked
        tag = '{}<br><span class="latchkey-tag" title="Decided for a service">{}</span>'
        return format_html(tag, asked, record.service or "decision")

    @display(description="Answer", label=STATUS_COLOURS)
    def answered(self, record: RequestLog) -> tuple[str, str]:
        return str(record.status_class), f"{record.status} {record.code}".strip()

    @display(description="Took")
    def took(self, record: RequestLog) -> str:
        return f"{record.duration / 1000:,.1f} ms"

    @display(description="Customer")
    def of_customer(self, record: RequestLog) -> str:
        return link_to(record.customer)
