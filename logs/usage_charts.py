"""Usage in the admin: chart series, percentiles and what is most frequent, by key and service."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet, Sum
from django.utils import timezone

from apikeys.environments import Environment
from apikeys.models import ApiKey
from backoffice import charts
from database.outages import LogStoreUnavailable
from logs import links
from logs.models import BUCKETS, HourlyUsage, RequestLog, RequestLogQuerySet
from logs.models.usage import BOUNDS
from logs.shipping.usage import OUTCOMES

# How many of a key's newest requests are analysed for paths, codes and addresses.
LOOKED_AT = 5000
LISTED = 6
CONVERTED = re.compile(r"<(?:\w+:)?(\w+)>")
MAX_KEYS = 10
OUTCOME_LABELS = {
    "succeeded": ("Succeeded", charts.PRIMARY),
    "refused": ("Refused", charts.AMBER),
    "limited": ("Rate limited", charts.PURPLE),
    "failed": ("Failed", charts.RED),
}


class Period(NamedTuple):
    """A chart's time span and the length of its bars."""

    name: str
    label: str
    hours: int
    step: int


PERIODS = {
    "24h": Period("24h", "24 hours", 24, 1),
    "7d": Period("7d", "7 days", 168, 6),
    "30d": Period("30d", "30 days", 720, 24),
}


class Slots:
    """The bars of a period, each the sum of its hours."""

    def __init__(self, period: Period, now: datetime) -> None:
        step = timedelta(hours=period.step)
        end = now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        if period.step == 24:
            end = end.replace(hour=0) + (timedelta(days=1) if end.hour else timedelta(0))
        self.began = end - timedelta(hours=period.hours)
        self.step = step
        count = period.hours // period.step
        form = "%d %b" if period.step == 24 else "%H:00" if period.step == 1 else "%d %b %H:00"
        self.labels = [f"{self.began + step * number:{form}}" for number in range(count)]
        self.totals: list[Counter[str]] = [Counter() for _ in range(count)]

    def add(self, rows: Iterable[dict[str, Any]], names: Iterable[str]) -> None:
        names = list(names)
        for row in rows:
            place = (row["hour"] - self.began) // self.step
            if 0 <= place < len(self.totals):
                for name in names:
                    self.totals[place][name] += row[name] or 0

    def series(self, name: str) -> list[int]:
        return [total[name] for total in self.totals]

    def sum(self) -> Counter[str]:
        return sum(self.totals, Counter())


def percentile(counts: Counter[str], share: float) -> float | None:
    """Return the milliseconds within which ``share`` of the requests were answered.

    From a histogram whose buckets double, and interpolated within one: off by a third at most.
    """
    total = sum(counts[name] for name in BUCKETS)
    if not total:
        return None
    target, cumulated = share * total, 0
    for number, name in enumerate(BUCKETS):
        if cumulated + counts[name] >= target and counts[name]:
            low = BOUNDS[number - 1] if number else 0
            high = BOUNDS[number] if number < len(BOUNDS) else BOUNDS[-1] * 2
            within = (target - cumulated) / counts[name]
            return float(low + (high - low) * within) / 1000
        cumulated += counts[name]
    return None


def key_usage(key: ApiKey, period_name: str = "") -> dict[str, Any]:
    period, slots = _period(period_name)
    usage = HourlyUsage.objects.filter(key_id=key.pk, hour__gte=slots.began)
    return _usage(usage, slots, period)


def key_requests(key: ApiKey, period_name: str = "") -> dict[str, Any]:
    """Return what is most frequent among a key's requests."""
    period, slots = _period(period_name)
    requests = RequestLog.objects.filter(key=key)
    return {
        "period": period,
        "since": links.since(slots.began),
        "periods": PERIODS.values(),
        **_recent_requests(requests, slots.began),
    }


def service_usage(name: str, period_name: str = "") -> dict[str, Any]:
    """Return the usage of a service that is guarded from outside; ``logs/service_usage.html``."""
    period, slots = _period(period_name)
    usage = HourlyUsage.objects.filter(service=name, hour__gte=slots.began)
    return {
        **_usage(usage, slots, period),
        **_recent_requests(RequestLog.objects.filter(service=name), slots.began),
        "busiest": _busiest_keys(usage, MAX_KEYS),
    }


def _period(name: str) -> tuple[Period, Slots]:
    period = PERIODS.get(name, PERIODS["24h"])
    return period, Slots(period, timezone.now())


def _usage(usage: QuerySet[HourlyUsage], slots: Slots, period: Period) -> dict[str, Any]:
    columns = ("requests", *OUTCOMES, *BUCKETS)
    slots.add(_by_hour(usage, columns), columns)
    total = slots.sum()
    return {
        "period": period,
        "periods": PERIODS.values(),
        "total": total,
        "p50": percentile(total, 0.5),
        "p95": percentile(total, 0.95),
        "outcomes_chart": _stacked(slots),
        "latency_chart": _latency(slots),
        "chart_options": charts.OPTIONS,
        "stacked_options": charts.STACKED_OPTIONS,
    }


def _recent_requests(requests: RequestLogQuerySet, since: datetime) -> dict[str, Any]:
    newest = requests.since(since).newest_first()
    recent = list(newest.values_list("method", "route", "code", "address")[:LOOKED_AT])
    # Of a decision it is blank where the client's was not told.
    addresses = Counter(address for *_, address in recent if address)
    return {
        "paths": Counter(f"{m} {shown_route(r)}" for m, r, _, _ in recent).most_common(LISTED),
        "codes": Counter(code for _, _, code, _ in recent if code).most_common(LISTED),
        "addresses": addresses.most_common(LISTED),
        "address_count": len(addresses),
        "is_partial": len(recent) == LOOKED_AT,
        "looked_at": LOOKED_AT,
    }


def shown_route(route: str) -> str:
    """Return a route as the public schema writes it: ``customers/{customer_id}``."""
    return CONVERTED.sub(r"{\1}", route) or "unknown path"


def overview() -> dict[str, Any]:
    slots = {environment: Slots(PERIODS["24h"], timezone.now()) for environment in Environment}
    began = slots[Environment.PRODUCTION].began
    usage = HourlyUsage.objects.filter(hour__gte=began)
    services = _add_traffic(slots, usage)
    refusals = RequestLog.objects.filter(~Q(code="")).since(began).newest_first()
    codes: Counter[str] = Counter()
    # The front page is read to get at the keys, whether the log can be read or not.
    with suppress(LogStoreUnavailable):
        codes.update(refusals.values_list("code", flat=True)[:LOOKED_AT])
    return {
        "traffic": [
            {"environment": environment, "total": slot.sum(), "chart": _stacked(slot)}
            for environment, slot in slots.items()
        ],
        "busiest": _busiest_keys(usage),
        "services": [
            {
                "service": name,
                "total": counts["requests"],
                "bad": counts["requests"] - counts["succeeded"],
            }
            for name, counts in services.items()
        ],
        "refusals": codes.most_common(LISTED),
        "since": links.since(began),
        "stacked_options": charts.STACKED_OPTIONS,
    }


def _add_traffic(
    slots: dict[Environment, Slots], usage: QuerySet[HourlyUsage]
) -> dict[str, Counter[str]]:
    """Add the usage to the slots, and return the sums of the services that are used most."""
    names = ("requests", *OUTCOMES)
    services: dict[str, Counter[str]] = {}
    for row in _by_hour(usage, names, "environment", "service"):
        slots[Environment(row["environment"])].add([row], names)
        if row["service"]:
            counts = services.setdefault(row["service"], Counter())
            counts.update({name: row[name] or 0 for name in names})
    used_most = sorted(services, key=lambda name: -services[name]["requests"])[:LISTED]
    return {name: services[name] for name in used_most}


def _by_hour(
    usage: QuerySet[HourlyUsage], names: Iterable[str], *more: str
) -> Iterator[dict[str, Any]]:
    """Yield the sums of each hour, and of each value of the columns ``more``."""
    sums = {f"sum_{name}": Sum(name) for name in names}
    rows: Any = usage.values("hour", *more).annotate(**sums).order_by()
    return ({name.removeprefix("sum_"): value for name, value in row.items()} for row in rows)


def _busiest(usage: QuerySet[HourlyUsage], column: str, count: int = LISTED) -> Any:
    """Return the largest totals by a column, of the rows where it is not blank."""
    rows: Any = usage.exclude(**{column: ""}).values(column)
    bad = Sum("refused") + Sum("limited") + Sum("failed")
    return rows.annotate(total=Sum("requests"), bad=bad).order_by("-total")[:count]


def _busiest_keys(usage: QuerySet[HourlyUsage], count: int = LISTED) -> list[dict[str, Any]]:
    totals = _busiest(usage, "key_id", count)
    keys = ApiKey.objects.in_bulk([row["key_id"] for row in totals])
    return [
        {"key": keys[row["key_id"]], "total": row["total"], "bad": row["bad"]}
        for row in totals
        if row["key_id"] in keys
    ]


def _stacked(slots: Slots) -> str:
    rows = {label: (slots.series(name), colour) for name, (label, colour) in OUTCOME_LABELS.items()}
    return charts.stacked(slots.labels, rows)


def _latency(slots: Slots) -> str:
    shares = {"p50": (0.5, charts.PRIMARY), "p95": (0.95, charts.AMBER)}
    rows = {
        name: ([_rounded(percentile(total, share)) for total in slots.totals], colour)
        for name, (share, colour) in shares.items()
    }
    return charts.lines(slots.labels, rows)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
