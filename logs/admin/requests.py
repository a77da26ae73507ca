"""The request log in the admin, read-only."""

import ipaddress
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, ClassVar
from uuid import UUID

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import PAGE_VAR
from django.core.exceptions import PermissionDenied
from django.http import (
    Http404,
    HttpRequest,
    HttpResponse,
    HttpResponseBadRequest,
    HttpResponseRedirect,
    StreamingHttpResponse,
)
from django.http.response import HttpResponseBase
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.http import urlencode
from unfold.admin import ModelAdmin
from unfold.contrib.filters.admin import AutocompleteSelectFilter, ChoicesDropdownFilter
from unfold.decorators import display

from apikeys.admin.key_list import ENVIRONMENT_COLOURS
from audit.actors import actor_of
from backoffice.columns import SECONDS, environment_column, timestamp
from backoffice.filters import OwnFiltersOnly
from backoffice.links import link_to
from backoffice.page_sections import sections_of
from backoffice.read_only import ReadOnlyAdmin
from database.uuid7 import first_id_at
from logs import export
from logs.admin.content import content_of
from logs.admin.filters import (
    CodeFilter,
    DocumentationFilter,
    KindFilter,
    MethodFilter,
    ServiceFilter,
    SlowFilter,
    StatusClassFilter,
    TimeFilter,
    days,
)
from logs.admin.histogram import histogram
from logs.admin.live_tail import NewerRequests, newer_than
from logs.admin.request_list import RequestList
from logs.admin.waterfall import bars_of
from logs.audited import record_export
from logs.capture import traceparent
from logs.models import Kind, RequestLog
from logs.stores import log_store

STATUS_COLOURS = {"2": "success", "3": "info", "4": "warning", "5": "danger"}


@admin.register(RequestLog)
class RequestLogAdmin(ReadOnlyAdmin, OwnFiltersOnly, ModelAdmin):
    """Every request under ``/api/`` and every decision for a service, newest first."""

    class Media:
        css: ClassVar = {"all": ["latchkey/requests.css"]}
        js = ("latchkey/requests.js",)

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
        DocumentationFilter,
    )
    list_filter_submit = True
    list_per_page = 50
    when_empty = "Call the API with a key: each request is listed here a second later."
    list_before_template = "logs/request_list_head.html"
    search_fields = ("pk",)
    search_help_text = "Request, job or trace id, address, or a part of the path"
    show_full_result_count = False
    sortable_by: Sequence[str] = ()
    ordering = ("-pk",)

    def get_queryset(self, request: HttpRequest) -> Any:
        """Read customers apart: a joined one would hide the requests about one that is gone."""
        rows = super().get_queryset(request).prefetch_related("customer")
        return log_store().related(rows, "key")

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> Any:
        return RequestList if newer_than(request) is None else NewerRequests

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> Any:
        response = super().changelist_view(request, extra_context)
        context = getattr(response, "context_data", None)
        if context and "cl" in context:
            page = context["cl"]
            context["days"] = list(days(request))
            context["histogram"] = histogram(request, page)
            newest = page.result_list[0].pk if page.result_list else first_id_at(timezone.now())
            # A page further back, or a range that is over, gets no new rows.
            is_newest = not request.GET.get(PAGE_VAR) and not request.GET.get("at_to_0")
            context["tail_after"] = newest if is_newest else None
        return response

    def get_search_results(self, request: HttpRequest, queryset: Any, search_term: str) -> Any:
        """Find by what the term looks like: an id, an address, else a part of the path."""
        term = search_term.strip()
        if not term:
            return queryset, False
        trace = traceparent.parse(term)
        try:
            identifier = UUID(trace.trace if trace else term)
        except ValueError:
            pass
        else:
            matches = queryset.filter(pk=identifier)
            if not matches.exists():
                of_job = queryset.filter(job_id=identifier)
                matches = of_job if of_job.exists() else queryset.filter(trace_id=identifier)
            return matches, False
        try:
            return queryset.filter(address=str(ipaddress.ip_address(term))), False
        except ValueError:
            pass
        return queryset.filter(path__contains=term), False

    def get_urls(self) -> Any:
        wrap = self.admin_site.admin_view
        view = wrap(self.export)
        return [
            path("export/<str:form>/", view, name="logs_requestlog_export"),
            path("tail/<uuid:after>/", wrap(self.tail), name="logs_requestlog_tail"),
            path("<uuid:request_id>/curl/", wrap(self.curl), name="logs_requestlog_curl"),
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
        record_export(actor_of(request), form=form, filters=request.GET.urlencode())
        return StreamingHttpResponse(
            export.lines(rows, form),
            content_type=export.FORMATS[form],
            headers={"Content-Disposition": f'attachment; filename="requests.{form}"'},
        )

    def tail(self, request: HttpRequest, after: UUID) -> HttpResponse:
        """Answer the rows of the list that came after a row, or 204 while there are none."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        query = request.GET.copy()
        tag = query.pop("tag", [""])[0]
        request.GET = query  # type: ignore[assignment]
        request.newer_than = after  # type: ignore[attr-defined]
        try:
            page: Any = self.get_changelist_instance(request)
        except IncorrectLookupParameters:
            return HttpResponseBadRequest()
        if page.tag == tag:
            return HttpResponse(status=HTTPStatus.NO_CONTENT)
        return render(request, "logs/request_tail.html", {"cl": page, "opts": self.opts})

    def curl(self, request: HttpRequest, request_id: UUID) -> HttpResponse:
        """Answer the command that repeats a request, its credential masked, as text."""
        record = self.get_object(request, str(request_id))
        if record is None or record.caller_id is not None:
            raise Http404
        if not self.has_view_permission(request, record):
            raise PermissionDenied
        return HttpResponse(content_of(record)["curl"], content_type="text/plain; charset=utf-8")

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
            "bars": bars_of(record),
            "sections": sections_of(request, record),
            **content_of(record),
        }
        return TemplateResponse(request, "logs/request_page.html", context)

    @display(description="Time (UTC)")
    def when(self, record: RequestLog) -> str:
        return timestamp(record.at, f"{SECONDS}.{record.at.microsecond // 1000:03}")

    in_environment = environment_column(ENVIRONMENT_COLOURS)

    @display(description="Key")
    def of_key(self, record: RequestLog) -> str:
        """Link to the key, and to its requests that were answered alike."""
        key = link_to(record.key, record.key and record.key.name)
        if not record.key_id:
            return key
        code, of_class = record.code, str(record.status_class)
        same = {"code": code} if code else {"status_class": of_class}
        address = reverse("admin:logs_requestlog_changelist")
        return format_html(
            '{} <a class="latchkey-row-link" href="{}?{}">Same key, same {}</a>',
            key,
            address,
            urlencode({"key__id__exact": record.key_id, **same}),
            "code" if code else "outcome",
        )

    @display(description="Request")
    def asked(self, record: RequestLog) -> str:
        path = record.path.removeprefix(f"/api/{record.environment}/v1/")
        asked = format_html(
            '<span class="latchkey-path" title="{}">{} <strong>{}</strong></span><br>',
            record.path, record.method, path,
        )  # fmt: skip
        if record.kind == Kind.DECISION:
            tag = '{}<span class="latchkey-tag" title="Decided for a service">{}</span> '
            asked = format_html(tag, asked, record.service or "decision")
        if record.caller_id is not None:
            # The headers on record are those of the question, which nobody wants to repeat.
            return asked
        return format_html(
            '{}<a class="latchkey-row-link" data-copies-from="{}"'
            ' href="{}#repeat">Copy as curl</a>',
            asked,
            reverse("admin:logs_requestlog_curl", args=(record.pk,)),
            reverse("admin:logs_requestlog_change", args=(record.pk,)),
        )

    @display(description="Answer", label=STATUS_COLOURS)
    def answered(self, record: RequestLog) -> tuple[str, str]:
        return str(record.status_class), f"{record.status} {record.code}".strip()

    @display(description="Took")
    def took(self, record: RequestLog) -> str:
        return f"{record.duration / 1000:,.1f} ms"

    @display(description="Customer")
    def of_customer(self, record: RequestLog) -> str:
        return link_to(record.customer)
