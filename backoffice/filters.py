"""Filters that any list can have."""

from datetime import UTC, datetime, time
from typing import Any

from django.http import HttpRequest
from django.utils.dateparse import parse_date, parse_time
from unfold.contrib.filters.admin import RangeDateTimeFilter


class TimeFilter(RangeDateTimeFilter):
    """Rows within a range of time, a date alone standing for the whole day (UTC)."""

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Return the rows of the range; an end that cannot be read lets none pass."""
        try:
            began, ended = self._instant("from", time.min), self._instant("to", time.max)
        except ValueError:
            return queryset.none()
        if began:
            queryset = self.since(queryset, began)
        return self.until(queryset, ended) if ended else queryset

    def since(self, rows: Any, timestamp: datetime) -> Any:
        """Return the rows from ``instant`` on."""
        return rows.filter(**{f"{self.parameter_name}__gte": timestamp})

    def until(self, rows: Any, timestamp: datetime) -> Any:
        """Return the rows up to ``instant``."""
        return rows.filter(**{f"{self.parameter_name}__lte": timestamp})

    def _instant(self, end: str, default: time) -> datetime | None:
        name = f"{self.parameter_name}_{end}"
        day, clock = (self.used_parameters.get(f"{name}_{part}") or "" for part in (0, 1))
        if not day:
            return None
        date, hour = parse_date(day), parse_time(clock) if clock else default
        if date is None or hour is None:
            raise ValueError(day)
        return datetime.combine(date, hour, UTC)
