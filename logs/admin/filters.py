"""What the request log can be narrowed by; each is the beginning of an index, or a range of ids."""

from datetime import datetime
from typing import Any

from django.http import HttpRequest
from unfold.contrib.filters.admin import DropdownFilter

from apikeys.problem_codes import CODES
from backoffice import filters

METHODS = ("GET", "POST", "PATCH", "DELETE", "PUT", "HEAD", "OPTIONS")


class _ColumnFilter(DropdownFilter):
    """Rows whose column has the value chosen."""

    choices_offered: tuple[tuple[str, str], ...] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return self.choices_offered

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Return the requests that fit; a value that is none of the choices fits none."""
        if not self.value():
            return queryset
        if self.value() in dict(self.choices_offered):
            return queryset.filter(**{self.parameter_name: self.value()})
        return queryset.none()


class StatusClassFilter(_ColumnFilter):
    """By the first digit of the status."""

    title = "status"
    parameter_name = "status_class"
    choices_offered = (
        ("2", "2xx Succeeded"),
        ("4", "4xx Refused"),
        ("5", "5xx Failed"),
    )


class CodeFilter(_ColumnFilter):
    """By the problem's code."""

    title = "code"
    parameter_name = "code"
    choices_offered = tuple((code, f"{kind.status} {code}") for code, kind in CODES.items())


class MethodFilter(_ColumnFilter):
    """By method."""

    title = "method"
    parameter_name = "method"
    choices_offered = tuple((method, method) for method in METHODS)


class SlowFilter(DropdownFilter):
    """Requests that took long."""

    title = "duration"
    parameter_name = "slow"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [("1", "Half a second or longer")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        return queryset.slow() if self.value() == "1" else queryset


class TimeFilter(filters.TimeFilter):
    """Requests within a time range, found by their ids."""

    def since(self, rows: Any, timestamp: datetime) -> Any:
        """Return the requests from ``instant`` on."""
        return rows.since(timestamp)

    def until(self, rows: Any, timestamp: datetime) -> Any:
        """Return the requests up to ``instant``."""
        return rows.before(timestamp)
