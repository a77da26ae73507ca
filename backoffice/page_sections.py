"""What other apps say on a row's page: sections, in tabs where the page has them, and facts.

So the page of a customer can show the customer's jobs, and knows nothing of jobs.
"""

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from django.http import HttpRequest
from django.template.loader import render_to_string

from database.outages import LogStoreUnavailable

OVERVIEW = "overview"

# What a section's template is given of a request and the page's row.
Context = Callable[[HttpRequest, Any], dict[str, Any]]
Facts = Callable[[HttpRequest, Any], Iterable[Any]]


class Fact(NamedTuple):
    """A sentence of a page's head, and the address of what it is about."""

    text: str
    address: str = ""
    is_bad: bool = False


class _Section(NamedTuple):
    name: str
    label: str
    permission: str
    template: str
    context: Context
    tab: str


_sections: dict[str, list[_Section]] = {}
_facts: dict[tuple[str, str], list[tuple[str, Facts]]] = {}


def page_section(
    model_name: str,
    name: str,
    label: str,
    *,
    permission: str,
    template: str,
    tab: str = OVERVIEW,
    is_first: bool = False,
) -> Callable[[Context], Context]:
    """Add a section to the page of a model's rows, for those who have ``permission``.

    On a page with tabs it is in ``tab``, and computed only when that is shown.
    """

    def register(context: Context) -> Context:
        section = _Section(name, label, permission, template, context, tab)
        sections = _sections.setdefault(model_name, [])
        sections.insert(0 if is_first else len(sections), section)
        return context

    return register


def sections_of(request: HttpRequest, row: Any, tab: str = "") -> list[dict[str, str]]:
    """Return the sections of a row's page, or those of one of its tabs."""
    return [
        {
            "name": section.name,
            "label": section.label,
            "html": _html(section, request, row),
        }
        for section in _permitted(request, row)
        if tab in {"", section.tab}
    ]


def tabs_of(request: HttpRequest, row: Any) -> set[str]:
    """Return the tabs in which there is a section for this person."""
    return {section.tab for section in _permitted(request, row)}


def page_facts(model_name: str, about: str, *, permission: str) -> Callable[[Facts], Facts]:
    """Add facts about a model's rows to what a page or a dialog says ``about`` them."""

    def register(facts: Facts) -> Facts:
        _facts.setdefault((model_name, about), []).append((permission, facts))
        return facts

    return register


def facts_of(request: HttpRequest, row: Any, about: str) -> list[Any]:
    """Return what is known; without the log store, what it says is left out."""
    found: list[Any] = []
    for permission, facts in _facts.get((row._meta.model_name, about), ()):
        if request.user.has_perm(permission):
            with suppress(LogStoreUnavailable):
                found += facts(request, row)
    return found


def _html(section: _Section, request: HttpRequest, row: Any) -> str:
    """Return a section; a key can be revoked while the log store is away."""
    try:
        return render_to_string(section.template, section.context(request, row), request)
    except LogStoreUnavailable:
        return render_to_string("backoffice/log_store_unavailable.html", {}, request)


def _permitted(request: HttpRequest, row: Any) -> list[_Section]:
    sections = _sections.get(row._meta.model_name, ())
    return [section for section in sections if request.user.has_perm(section.permission)]
