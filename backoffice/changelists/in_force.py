"""The filters of a list that are in force, each with the address of the list without it."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from django.contrib.admin.options import IS_POPUP_VAR, TO_FIELD_VAR
from django.contrib.admin.views.main import ORDER_VAR, PAGE_VAR, SEARCH_VAR
from django.core.exceptions import ValidationError
from django.db.models import Field
from django.http import HttpRequest

# The filters that lists offer as segments, by the name of their parameter.
SEGMENTED = ("environment__exact", "status", "status__exact", "status_class")
# What stays when the filters are cleared.
KEPT = {ORDER_VAR, IS_POPUP_VAR, TO_FIELD_VAR}


class Chip(NamedTuple):
    """A filter in force."""

    label: str
    value: str
    without: str


class Segment(NamedTuple):
    """A choice of a filter, in force or one click away."""

    label: str
    address: str
    is_chosen: bool


class Segments(NamedTuple):
    """The choices of a filter, the first of them none."""

    label: str
    choices: list[Segment]


def chips(request: HttpRequest, page: Any) -> Iterator[Chip]:
    if page.query:
        yield Chip("Search", page.query, address_of(request, without=[SEARCH_VAR]))
    for spec in page.filter_specs:
        names = spec.expected_parameters()
        sent = {name: request.GET[name] for name in names if request.GET.get(name)}
        if sent:
            without = address_of(request, without=names)
            yield Chip(str(spec.title), _text(request, spec, sent), without)


def segments(request: HttpRequest, page: Any) -> Iterator[Segments]:
    for spec in page.filter_specs:
        name = spec.expected_parameters()[0]
        if name not in SEGMENTED:
            continue
        chosen = request.GET.get(name, "")
        yield Segments(
            str(spec.title),
            [
                Segment(str(label), address_of(request, without=[name], **more), value == chosen)
                for value, label, more in [
                    ("", "All", {}),
                    *((value, label, {name: value}) for value, label in _choices(spec)),
                ]
            ],
        )


def cleared(request: HttpRequest) -> str:
    return address_of(request, without=[name for name in request.GET if name not in KEPT])


def _choices(spec: Any) -> Iterable[tuple[str, Any]]:
    choices: Iterable[tuple[str, Any]] = (
        spec.field.flatchoices if hasattr(spec, "field") else spec.lookup_choices
    )
    return choices


def _text(request: HttpRequest, spec: Any, sent: dict[str, str]) -> str:
    """Return how people read what a filter was given."""
    if len(spec.expected_parameters()) > 2:
        return _span(sent)
    value = next(iter(sent.values()))
    field: Field[Any, Any] | None = getattr(spec, "field", None)
    if field is not None and field.is_relation:
        return _named(request, field, value)
    if field is not None and not field.flatchoices:
        return {"1": "Yes", "0": "No"}.get(value, value)
    return str(dict(_choices(spec)).get(value, value))


def _span(sent: dict[str, str]) -> str:
    """Return a range of time; the names of its parts end on ``_from_0``, ``_from_1``, ``_to_0``."""
    parts: dict[str, list[str]] = {}
    for name, value in sorted(sent.items()):
        parts.setdefault(name.split("_")[-2], []).append(value)
    return " ".join(f"{end} {' '.join(values)}" for end, values in sorted(parts.items()))


def _named(request: HttpRequest, field: Any, value: str) -> str:
    """Return the name of the row that is chosen, to those who may see it."""
    model = field.related_model
    if not request.user.has_perm(f"{model._meta.app_label}.view_{model._meta.model_name}"):
        return value
    try:
        row = model._default_manager.filter(pk=value).first()
    except (ValidationError, ValueError):
        return value
    return str(row or value)


def address_of(request: HttpRequest, *, without: Iterable[str], **more: str) -> str:
    """Return this list's address, from its first page."""
    query = request.GET.copy()
    for name in (*without, PAGE_VAR, "e"):
        query.pop(name, None)
    for name, value in more.items():
        query[name] = value
    return f"?{query.urlencode()}"
