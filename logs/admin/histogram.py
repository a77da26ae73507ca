"""The histogram above the list of requests: how many there were, by outcome, within its filters.

From hourly usage as long as the filters are those that usage is kept by, and a bar is an hour or
more; else from the newest rows that the filters leave.
"""

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Sum
from django.http import HttpRequest
from django.utils import timezone

from backoffice.filters import TimeFilter
from logs.models import HourlyUsage
from logs.shipping.usage import OUTCOMES, outcome
from logs.usage_charts import OUTCOME_LABELS

MAX_BARS = 60
# The lengths of bars, in minutes.
STEPS = (1, 5, 15, 60, 180, 360, 1440, 10_080, 43_200)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
# Bars begin at whole steps from here, a Monday; nothing is on record from before.
EPOCH = datetime(2001, 1, 1, tzinfo=UTC)
# The filters of the list that usage is kept by, and what it calls them.
USAGE_FILTERS = {
    "environment__exact": "environment",
    "key__id__exact": "key_id",
    "service": "service",
}
# What narrows nothing: the page, and marks of Django's.
NOT_FILTERS = {"p", "e", "o", "_popup", "_to_field"}
HEIGHT = 100


class Part(NamedTuple):
    """The share of an outcome in a bar, in hundredths of the height."""

    outcome: str
    y: int
    height: int


class Bar(NamedTuple):
    """A span of time, what was counted in it, and the addresses of the list from and until it."""

    start: datetime
    end: datetime
    counts: Counter[str]
    parts: list[Part]
    since: str
    until: str
    alone: str

    @property
    def total(self) -> int:
        return self.counts.total()

    @property
    def said(self) -> str:
        """What the bar shows, in words."""
        named = [
            f"{self.counts[name]:,} {label.lower()}"
            for name, (label, _) in OUTCOME_LABELS.items()
            if self.counts[name]
        ]
        return ", ".join(named) or "none"


class Histogram(NamedTuple):
    """Bars of equal length; ``rows`` is how many rows were counted, if not all that there are."""

    bars: list[Bar]
    total: int
    highest: int
    rows: int | None
    base: str
    is_narrowed: bool

    @property
    def legend(self) -> list[tuple[str, str]]:
        return [(name, label) for name, (label, _) in OUTCOME_LABELS.items()]


def histogram(request: HttpRequest, changelist: Any) -> Histogram:
    """Return the histogram of a list; the last day where no time is chosen."""
    chosen = _chosen_range(changelist)
    now = timezone.now()
    end = max(min(chosen[1] or now, now), EPOCH + DAY)
    start = max(min(chosen[0] or end - DAY, end - timedelta(minutes=1)), EPOCH)
    filters = _usage_filters(request)
    counted: dict[datetime, Counter[str]] | None = None
    rows = None
    step = _step(end - start)
    if filters is not None and (step >= HOUR or not changelist.newest.since(start).is_whole):
        step = max(step, HOUR)
        counted = _from_usage(filters, _floor(start, step), end, step)
    if counted is None:
        times, is_whole = _newest(changelist, start if any(chosen) else None)
        if not any(chosen) or not is_whole:
            start = min((at for at, _ in times), default=start)
        step = _step(end - start)
        rows = None if is_whole else len(times)
        counted = _from_rows(times, step)
    return _drawn(request, counted, _spans(start, end, step), rows, is_narrowed=any(chosen))


def _chosen_range(changelist: Any) -> tuple[datetime | None, datetime | None]:
    for spec in changelist.filter_specs:
        if isinstance(spec, TimeFilter):
            try:
                return spec.bounds()
            except ValueError:
                break
    return None, None


def _usage_filters(request: HttpRequest) -> dict[str, str] | None:
    """Return the list's filters as usage has them; None if it has not all of them."""
    filters = {}
    for name, value in request.GET.dict().items():
        if not value or name in NOT_FILTERS or name.startswith("at_"):
            continue
        if name not in USAGE_FILTERS:
            return None
        filters[USAGE_FILTERS[name]] = str(value)
    return filters


def _step(span: timedelta) -> timedelta:
    for minutes in STEPS:
        step = timedelta(minutes=minutes)
        if span <= step * MAX_BARS:
            return step
    return timedelta(minutes=STEPS[-1])


def _floor(timestamp: datetime, step: timedelta) -> datetime:
    return EPOCH + (timestamp - EPOCH) // step * step


def _spans(start: datetime, end: datetime, step: timedelta) -> list[tuple[datetime, datetime]]:
    first, last = _floor(start, step), _floor(end - timedelta(microseconds=1), step)
    first = max(first, last - step * (MAX_BARS - 1))
    number = (last - first) // step + 1
    return [(first + step * place, first + step * (place + 1)) for place in range(number)]


def _from_usage(
    filters: dict[str, str], start: datetime, end: datetime, step: timedelta
) -> dict[datetime, Counter[str]]:
    usage = HourlyUsage.objects.filter(hour__gte=start, hour__lt=end, **filters)
    sums = {f"sum_{name}": Sum(name) for name in OUTCOMES}
    by_hour: Any = usage.values("hour").annotate(**sums).order_by()
    counted: dict[datetime, Counter[str]] = {}
    for row in by_hour:
        counts = counted.setdefault(_floor(row["hour"], step), Counter())
        for name in OUTCOMES:
            counts[name] += row[f"sum_{name}"] or 0
    return counted


def _newest(changelist: Any, start: datetime | None) -> tuple[list[tuple[datetime, str]], bool]:
    """Return times and outcomes of the newest rows of the list, and whether those are all."""
    newest = changelist.newest if start is None else changelist.newest.since(start)
    times = [(at, outcome(status, code)) for _, at, status, code in newest.listed]
    return times, newest.is_whole


def _from_rows(times: list[tuple[datetime, str]], step: timedelta) -> dict[datetime, Counter[str]]:
    counted: dict[datetime, Counter[str]] = {}
    for at, name in times:
        counted.setdefault(_floor(at, step), Counter())[name] += 1
    return counted


def _drawn(
    request: HttpRequest,
    counted: dict[datetime, Counter[str]],
    spans: list[tuple[datetime, datetime]],
    rows: int | None,
    *,
    is_narrowed: bool,
) -> Histogram:
    found = [counted.get(start, Counter[str]()) for start, _ in spans]
    highest = max((counts.total() for counts in found), default=0)
    bars = [
        Bar(
            start,
            end,
            counts,
            list(_parts(counts, highest)),
            _address(request, since=start),
            _address(request, until=end),
            _address(request, since=start, until=end),
        )
        for (start, end), counts in zip(spans, found, strict=True)
    ]
    total = sum(counts.total() for counts in found)
    base = _address(request, without_range=True)
    return Histogram(bars, total, highest, rows, base, is_narrowed)


def _parts(counts: Counter[str], highest: int) -> Iterator[Part]:
    bottom = HEIGHT
    for name in OUTCOMES:
        if counts[name]:
            # What is there is seen, however little it is beside the rest.
            height = max(2, round(counts[name] * HEIGHT / highest))
            top = max(0, bottom - height)
            yield Part(name, top, bottom - top)
            bottom = top


def _address(
    request: HttpRequest,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    without_range: bool = False,
) -> str:
    """Return the list's address with one end of its range, or both, in place of those it has."""
    query = request.GET.copy()
    for name in ("p", "e"):
        query.pop(name, None)
    for end, timestamp in (("from", since), ("to", until)):
        if timestamp is not None or without_range:
            query.pop(f"at_{end}_0", None)
            query.pop(f"at_{end}_1", None)
        if timestamp is not None:
            query[f"at_{end}_0"] = f"{timestamp:%Y-%m-%d}"
            query[f"at_{end}_1"] = f"{timestamp:%H:%M:%S}"
    return f"?{query.urlencode()}"
