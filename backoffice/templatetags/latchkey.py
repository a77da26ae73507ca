"""How pages write numbers and times, and what lists show above their table."""

from datetime import datetime
from typing import Any

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backoffice import columns
from backoffice.changelists import in_force
from backoffice.changelists.saved_filters import list_name_of, saved_by

register = template.Library()


@register.filter
def number(value: Any) -> str:
    """Write a whole number with its thousands apart."""
    return f"{value or 0:,}"


@register.filter
def timestamp(value: datetime | None) -> SafeString:
    return columns.timestamp(value)


@register.filter
def exact_time(value: datetime) -> SafeString:
    """Write a time to the microsecond."""
    return columns.timestamp(value, f"{columns.SECONDS}.%f UTC")


@register.filter
def day(value: datetime | None) -> SafeString:
    return columns.day(value)


@register.filter
def ago(value: datetime | None) -> SafeString:
    return columns.ago(value)


@register.simple_tag
def before_and_after(values: Any) -> SafeString:
    """Write what a change turned a value into; a list as its items, and nothing as none."""
    before, after = ("none" if value is None else _listed(value) for value in values)
    arrow = '<del>{}</del> <span class="latchkey-arrow" aria-hidden="true">→</span> <ins>{}</ins>'
    if values[0] is None:
        return format_html("<ins>{}</ins>", after)
    return format_html(arrow, before, after)


def _listed(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    return columns.readable(value)


@register.inclusion_tag("backoffice/list_tools.html", takes_context=True)
def list_tools(context: Any, page: Any) -> dict[str, Any]:
    request = context["request"]
    list_name = list_name_of(page.model)
    query = request.GET.copy()
    query.pop("p", None)
    return {
        "request": request,
        "segments": list(in_force.segments(request, page)),
        "chips": list(in_force.chips(request, page)),
        "cleared": in_force.cleared(request),
        "list_name": list_name,
        "saved": [
            (saved, saved.query == query.urlencode())
            for saved in (saved_by(request.user, list_name) if not page.is_popup else ())
        ],
        "query": query.urlencode(),
        "is_popup": page.is_popup,
        "csrf_token": context.get("csrf_token"),
    }


@register.simple_tag
def count_of(page: Any) -> str:
    """Return how many rows a list has, as the list knows it: long ones are not counted."""
    if getattr(page, "is_more_than_counted", False):
        return f"more than {page.counted:,}"
    if getattr(page, "counted_since", None):
        return f"at least {page.counted:,}"
    return f"{page.result_count:,}"
