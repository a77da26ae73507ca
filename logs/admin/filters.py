"""Filters of the request log; each uses an index or a range of ids."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from django.contrib.admin.views.main import SEARCH_VAR
from django.http import HttpRequest
from django.utils import timezone

from apikeys.problem_codes import CODES
from backoffice import filters
from backoffice.changelists.in_force import Segment, address_of
from backoffice.filters import ChoiceFilter
from logs.models import Kind
from logs.stores import log_store

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
        names = log_store().service_names(MAX_SERVICES)
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


# Days (UTC) that are one click away: how many days ago they began, and the last of them ended.
DAYS = {"Any time": (None, None), "Today": (0, None), "Yesterday": (1, 1), "7 days": (6, None)}
TIME_PARAMETERS = ("at_from_0", "at_from_1", "at_to_0", "at_to_1")


def days(request: HttpRequest) -> Iterator[Segment]:
    """Return the ranges of days, each with the address of the list that it narrows."""
    today = timezone.now().astimezone(UTC).date()
    chosen = {name: request.GET[name] for name in TIME_PARAMETERS if request.GET.get(name)}
    for label, ends in DAYS.items():
        sent = {
            name: str(today - timedelta(days=ago))
            for name, ago in zip(("at_from_0", "at_to_0"), ends, strict=True)
            if ago is not None
        }
        address = address_of(request, without=TIME_PARAMETERS, **sent)
        yield Segment(label, address, sent == chosen)
