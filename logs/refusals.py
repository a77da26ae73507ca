"""How many of a key's requests of the last 24 hours were refused, and mostly with which code."""

from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import F, QuerySet, Sum

from database.outages import LogStoreUnavailable
from logs.models import HourlyUsage, RequestLog

WITHIN = timedelta(hours=24)
REFUSED = F("refused") + F("limited")
# How many of a key's newest requests say which refusal is the most frequent.
CODES_FROM = 200


class Refusals(NamedTuple):
    """A key's requests, and those of them that were refused or limited."""

    requests: int = 0
    refused: int = 0


def recent_usage(now: datetime) -> QuerySet[HourlyUsage]:
    return HourlyUsage.objects.filter(hour__gte=now - WITHIN).order_by()


def refusals(key_ids: Iterable[str], now: datetime) -> dict[str, Refusals]:
    """Return what was asked and refused by key id, of the keys that sent requests."""
    usage = recent_usage(now).filter(key_id__in=key_ids)
    sums: Any = usage.values_list("key_id").annotate(Sum("requests"), refused_sum=Sum(REFUSED))
    return {key_id: Refusals(requests, refused) for key_id, requests, refused in sums}


def most_frequent_code(key_id: str, now: datetime) -> str:
    """Return the code of most refusals among a key's newest requests; blank for none known."""
    newest = RequestLog.objects.filter(key_id=key_id).since(now - WITHIN).newest_first()
    codes: Counter[str] = Counter()
    with suppress(LogStoreUnavailable):
        codes.update(filter(None, newest.values_list("code", flat=True)[:CODES_FROM]))
    return codes.most_common(1)[0][0] if codes else ""
