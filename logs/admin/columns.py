"""A column of the key list: requests of the last 24 hours, and the share of errors."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F, Sum
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from backoffice.columns import list_column, percent
from logs.links import requests_since
from logs.models import HourlyUsage

HOURS = 24
HEIGHT = 10


@list_column("apikey", "24 hours", permission="logs.view_requestlog")
def requests_of_a_day(keys: Sequence[Any]) -> Mapping[Any, SafeString]:
    now = timezone.now().replace(minute=0, second=0, microsecond=0)
    began = now - timedelta(hours=HOURS - 1)
    usage = HourlyUsage.objects.filter(key_id__in=[key.pk for key in keys], hour__gte=began)
    bad = F("refused") + F("limited") + F("failed")
    rows = usage.values("key_id", "hour").annotate(total=Sum("requests"), bad=Sum(bad)).order_by()
    hours: dict[str, Counter[int]] = defaultdict(Counter)
    errors: Counter[str] = Counter()
    for row in rows:
        hours[row["key_id"]][(row["hour"] - began) // timedelta(hours=1)] += row["total"]
        errors[row["key_id"]] += row["bad"]
    return {key: _cell(key, hours[key], errors[key], began) for key in hours}


def _cell(key_id: str, hours: Counter[int], errors: int, began: datetime) -> SafeString:
    total = hours.total()
    share = percent(errors, total) if errors else "no errors"
    return format_html(
        '{}<a class="latchkey-link" href="{}">{}</a> <small{}>{}</small>',
        _sparkline([hours[hour] for hour in range(HOURS)]),
        requests_since(began, key__id__exact=key_id),
        f"{total:,}",
        SafeString(' class="latchkey-warning"') if errors else "",
        share,
    )


def _sparkline(numbers: Sequence[int]) -> SafeString:
    """Return a bar for each hour; the highest has the whole height."""
    highest = max(numbers)
    bars = "".join(
        f"M{hour} {HEIGHT}V{HEIGHT - max(1, round(HEIGHT * number / highest))}"
        for hour, number in enumerate(numbers)
        if number
    )
    return format_html(
        '<svg class="latchkey-spark" viewBox="-1 0 {} {}" aria-hidden="true"><path d="{}"/></svg>',
        len(numbers) + 1, HEIGHT, bars,
    )  # fmt: skip
