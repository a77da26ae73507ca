"""Filters of the job list."""

from typing import Any

from django.http import HttpRequest

from backoffice.filters import ChoiceFilter
from jobs.registry import runnable_types


class TypeFilter(ChoiceFilter):
    """Jobs of a type."""

    title = parameter_name = "type"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [(name, name) for name in sorted(runnable_types())]
