"""Filters that any list can have, and the rule that a list is narrowed by nothing else."""

from collections.abc import Sequence
from datetime import UTC, datetime, time
from typing import Any, ClassVar

from django.http import HttpRequest
from django.utils.dateparse import parse_date, parse_time
from unfold.contrib.filters.admin import DropdownFilter, RangeDateTimeFilter

from backoffice.model_pages import ModelPages

# What the filters of a field call their parameters, after the field's name.
SUFFIXES = ("__exact", "__id__exact", "_from_0", "_from_1", "_to_0", "_to_1")


class OwnFiltersOnly(ModelPages):
    """A mixin for model admins. A secret's digest could be guessed through any other lookup."""

    list_filter: ClassVar[Any]

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        return any(lookup in _parameters(list_filter) for list_filter in self.list_filter)


def _parameters(list_filter: Any) -> set[str]:
    if isinstance(list_filter, type):
        return {list_filter.parameter_name}  # type: ignore[attr-defined]
    field = list_filter if isinstance(list_filter, str) else list_filter[0]
    return {f"{field}{suffix}" for suffix in SUFFIXES}


class ChoiceFilter(DropdownFilter):
    """Rows that fit one of ``offered``; a value that is none of them fits no row."""

    offered: Sequence[tuple[str, Any]] = ()

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return self.offered

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        value = self.value()
        if not value:
            return queryset
        if value not in dict(self.lookup_choices):
            return queryset.none()
        return self.fitting(queryset, value)

    def fitting(self, rows: Any, value: str) -> Any:
        return rows.filter(**{self.parameter_name: value})


class TimeFilter(RangeDateTimeFilter):
    """Rows within a range of time, a date alone standing for the whole day (UTC)."""

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        try:
            start, end = self.bounds()
        except ValueError:
            return queryset.none()
        if start:
            queryset = self.since(queryset, start)
        return self.until(queryset, end) if end else queryset

    def bounds(self) -> tuple[datetime | None, datetime | None]:
        """Return both ends, None where it is open; raise ``ValueError`` for what is no time."""
        return self._timestamp("from", time.min), self._timestamp("to", time.max)

    def since(self, rows: Any, timestamp: datetime) -> Any:
        return rows.filter(**{f"{self.parameter_name}__gte": timestamp})

    def until(self, rows: Any, timestamp: datetime) -> Any:
        return rows.filter(**{f"{self.parameter_name}__lte": timestamp})

    def _timestamp(self, end: str, default: time) -> datetime | None:
        name = f"{self.parameter_name}_{end}"
        day, clock = (self.used_parameters.get(f"{name}_{part}") or "" for part in (0, 1))
        if not day:
            return None
        date, hour = parse_date(day), parse_time(clock) if clock else default
        if date is None or hour is None:
            raise ValueError(day)
        return datetime.combine(date, hour, UTC)
