"""Filters of the request log; each uses an index or a range of ids."""

from datetime import datetime
from typing import Any

from django.contrib.admin.views.main import SEARCH_VAR
from django.http import HttpRequest

from apikeys.problem_codes import CODES
from backoffice import filters
from backoffice.filters import ChoiceFilter
from logs.models import Kind
from logs.models.requests import service_names

MAX_SERVICES = 200
# Whoever opens the documentation from the admin would find that first.
DOCUMENTATION = ("/api/docs", "/api/schema")
METHODS = ("GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS")


class StatusClassFilter(ChoiceFilter):
    """By the first digit of the status."""

    title = "status"
    parameter_name = "status_class"
    offered = (("2", "2xx Succeeded"), ("4", "4xx Refused"), ("5", "5xx Failed"))


class CodeFilter(ChoiceFilter):
    """By the problem's code."""

    title = "code"
    parameter_name = "code"
    offered = tuple((code, f"{kind.status} {code}") for code, kind in CODES.items())


class MethodFilter(ChoiceFilter):
    """By method."""

    title = "method"
    parameter_name = "method"
    offered = tuple((method, method) for method in METHODS)


class KindFilter(ChoiceFilter):
    """Requests to this API, or decisions for services."""

    title = "kind"
    parameter_name = "kind"
    offered = tuple(Kind.choices)


class ServiceFilter(ChoiceFilter):
    """Decisions for one of the services in the log."""

    title = "service"
    parameter_name = "service"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        names = service_names(MAX_SERVICES)
        chosen = self.value()
        # Without a choice Django would leave the filter out, and list every request.
        if chosen and chosen not in names:
            names.append(chosen)
        return [(name, name) for name in names]


class SlowFilter(ChoiceFilter):
    """Requests that took long."""

    title = "duration"
    parameter_name = "slow"
    offered = (("1", "Half a second or longer"),)

    def fitting(self, rows: Any, value: str) -> Any:
        return rows.slow()


class DocumentationFilter(ChoiceFilter):
    """Requests for the API's documentation and schema, left out unless they are asked for."""

    title = "documentation"
    parameter_name = "docs"
    offered = (("shown", "Shown"),)
    all_option = ("", "Left out")

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        # Whoever searches for one by its id or path finds it.
        if self.value() == "shown" or request.GET.get(SEARCH_VAR):
            return queryset
        return queryset.exclude(path__in=DOCUMENTATION)


class TimeFilter(filters.TimeFilter):
    """Requests within a time range, found by their ids."""

    def since(self, rows: Any, timestamp: datetime) -> Any:
        return rows.since(timestamp)

    def until(self, rows: Any, timestamp: datetime) -> Any:
        return rows.before(timestamp)
