"""Columns that several lists have, and how times are written: UTC, in one format.

Each is a ``<time>``; ids_and_times.js tells the local time to whoever points at one.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.decorators import display

# The longest unit is the day: people count for how many days a key was not used.
UNITS = ((86_400, "day"), (3_600, "hour"), (60, "minute"))
# A time further ahead is a date.
AHEAD = timedelta(days=90)
# How a time is kept in a text, such as an audit event.
STORED_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(\+00:00|Z)")
MINUTES, SECONDS = "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S"


def environment_column(colours: Mapping[str, str], **options: Any) -> Any:
    @display(description="Environment", label=colours, **options)
    def column(model_admin: Any, row: Any) -> str:
        return str(row.get_environment_display())

    return column


def time_column(field: str, title: str, *, shown: str = SECONDS, **options: Any) -> Any:
    @display(description=f"{title} (UTC)", **options)
    def column(model_admin: Any, row: Any) -> str:
        return timestamp(getattr(row, field), shown)

    return column


def day(value: datetime | None) -> SafeString:
    return timestamp(value, "%Y-%m-%d")


def ago(value: datetime | None) -> SafeString:
    """Write for how long a time is over, or how long it takes until then if that is soon."""
    if value is None:
        return SafeString("Never")
    if value - timezone.now() > AHEAD:
        return day(value)
    seconds = (timezone.now() - value).total_seconds()
    text = _duration(abs(seconds))
    return timestamp(value, f"{text} ago" if seconds >= 0 else f"in {text}")


def _duration(seconds: float) -> str:
    for length, unit in UNITS:
        if seconds >= length:
            number = int(seconds // length)
            return f"{number:,} {unit}{'' if number == 1 else 's'}"
    return "a moment"


def timestamp(value: datetime | None, shown: str = f"{SECONDS} UTC") -> SafeString:
    """Write a time, to the second unless ``shown`` tells ``strftime`` otherwise."""
    if value is None:
        return SafeString("Never")
    written = value.astimezone(UTC)
    return format_html(
        '<time datetime="{}">{}</time>', f"{written:%Y-%m-%dT%H:%M:%SZ}", f"{written:{shown}}"
    )


def readable(value: Any) -> Any:
    """Write the time that a text is, as pages write times; return anything else as it is."""
    if isinstance(value, str) and STORED_TIME.fullmatch(value):
        try:
            return timestamp(datetime.fromisoformat(value))
        except ValueError:
            return value
    return value


def percent(part: int, whole: int) -> str:
    """Write a share: 0 % is none at all and 100 % is all, however close others come."""
    tenths = round(1000 * part / whole)
    if 0 < part < whole:
        tenths = min(max(tenths, 1), 999)
    return f"{tenths / 10:.1f}".removesuffix(".0") + " %"


# Returns what a column shows of the rows of a page, by primary key, with as few queries as for one.
Cells = Callable[[Sequence[Any]], Mapping[Any, Any]]


class _Extra(NamedTuple):
    permission: str
    column: Callable[[Any], Any]
    cells: Cells


_extras: dict[str, list[_Extra]] = {}


def list_column(model_name: str, label: str, *, permission: str) -> Callable[[Cells], Cells]:
    """Add a column to the list of a model, for those who have ``permission``."""

    def register(cells: Cells) -> Cells:
        name = cells.__name__

        @display(description=label)
        def column(row: Any) -> Any:
            return getattr(row, name)

        column.__name__ = name
        _extras.setdefault(model_name, []).append(_Extra(permission, column, cells))
        return cells

    return register


class ExtraColumns:
    """A mixin for model admins whose list has columns of other apps."""

    model: Any

    def get_list_display(self, request: HttpRequest) -> Any:
        own = super().get_list_display(request)  # type: ignore[misc]
        return (*own, *(extra.column for extra in self._extras(request)))

    def get_changelist_instance(self, request: HttpRequest) -> Any:
        page = super().get_changelist_instance(request)  # type: ignore[misc]
        page.result_list = list(page.result_list)
        for extra in self._extras(request):
            cells = extra.cells(page.result_list)
            for row in page.result_list:
                setattr(row, extra.column.__name__, cells.get(row.pk, ""))
        return page

    def _extras(self, request: HttpRequest) -> list[_Extra]:
        extras = _extras.get(self.model._meta.model_name, [])
        return [extra for extra in extras if request.user.has_perm(extra.permission)]
