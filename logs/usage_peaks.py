"""The most that a key wanted of its limits in a minute, an hour and a day, of the last 30 days.

Calendar minutes, hours and days, and requests that a limit refused among them.
"""

from collections import Counter
from datetime import date, timedelta
from typing import Any

from django.db.models import Max, Sum
from django.utils import timezone

from apikeys.models import ApiKey
from logs.models import DailyPeak, HourlyUsage

DAYS = 30


def peaks(key: ApiKey) -> dict[str, int]:
    """Return the peak of each window that is known, by the window's name."""
    now = timezone.now()
    since = now - timedelta(days=DAYS)
    busiest = DailyPeak.objects.filter(key_id=key.pk, day__gt=since.date())
    usage = HourlyUsage.objects.filter(key_id=key.pk, environment=key.environment, hour__gte=since)
    hours: Any = usage.values_list("hour").annotate(Sum("requests")).order_by()
    days: Counter[date] = Counter()
    hour_peak = 0
    for hour, number in hours:
        hour_peak = max(hour_peak, number)
        days[hour.date()] += number
    found = {
        "minute": busiest.aggregate(peak=Max("busiest"))["peak"] or 0,
        "hour": hour_peak,
        "day": max(days.values(), default=0),
    }
    return {window: peak for window, peak in found.items() if peak}
