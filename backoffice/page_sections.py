"""Sections of a row's page that other apps fill: a page shows what was registered for its model.

So the page of a customer can show the customer's jobs, and knows nothing of jobs.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from django.http import HttpRequest
from django.template.loader import render_to_string

# What a section's template is given of a request and the page's row.
Context = Callable[[HttpRequest, Any], dict[str, Any]]


class _Section(NamedTuple):
    name: str
    label: str
    permission: str
    template: str
    context: Context


_sections: dict[str, list[_Section]] = {}


def page_section(
    model_name: str, name: str, label: str, *, permission: str, template: str
) -> Callable[[Context], Context]:
    """Add a section to the page of a model's rows, for those who have ``permission``."""

    def register(context: Context) -> Context:
        section = _Section(name, label, permission, template, context)
        _sections.setdefault(model_name, []).append(section)
        return context

    return register


def sections_of(request: HttpRequest, row: Any) -> list[dict[str, str]]:
    return [
        {
            "name": section.name,
            "label": section.label,
            "html": render_to_string(section.template, section.context(request, row), request),
        }
        for section in _sections.get(row._meta.model_name, ())
        if request.user.has_perm(section.permission)
    ]
