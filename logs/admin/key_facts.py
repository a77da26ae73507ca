"""What the request log knows of a key: the verdict on its page, and what a dialog would affect."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest
from django.template.defaultfilters import pluralize
from django.urls import reverse
from django.utils import timezone

from apikeys.catalogue import labels
from apikeys.models import Status
from backoffice.columns import percent
from backoffice.page_sections import Fact, page_facts
from logs.models import RequestLog
from logs.refusals import Refusals, most_frequent_code, refusals
from logs.unused_permissions import UNUSED_FOR, unused_permissions
from logs.usage_charts import LOOKED_AT
from logs.usage_peaks import peaks

VIEW = "logs.view_requestlog"


@page_facts("apikey", "verdict", permission=VIEW)
def traffic(request: HttpRequest, key: Any) -> Iterator[Fact]:
    """Tell how much it was used in 24 hours, how much of it was refused, and mostly why."""
    now = timezone.now()
    total, refused = refusals([key.pk], now).get(key.pk, Refusals())
    text = f"{total:,} request{pluralize(total)} in 24 hours" if total else "No request in 24 hours"
    yield Fact(text, "?tab=requests")
    if refused:
        code = most_frequent_code(key.pk, now)
        share = f"{percent(refused, total)} refused"
        all_requests = reverse("admin:logs_requestlog_changelist")
        address = f"{all_requests}?key__id__exact={key.pk}" + (f"&code={code}" if code else "")
        yield Fact(f"{share}, mostly {code}" if code else share, address, is_bad=True)
    unused = labels(unused_permissions([key])[key.pk])
    if unused and key.status == Status.ACTIVE:
        is_old = key.created_at < now - UNUSED_FOR
        yield Fact(f"Granted and never used: {', '.join(unused)}", "?tab=settings", is_bad=is_old)


@page_facts("apikey", "unused", permission=VIEW)
def unused(request: HttpRequest, key: Any) -> Iterator[tuple[str, str]]:
    """Tell of each permission that nothing needs whether it was ever used."""
    never = set(unused_permissions([key])[key.pk])
    for code in unused_permissions([key], timezone.now() - UNUSED_FOR)[key.pk]:
        yield code, "Never used" if code in never else f"Not used for {UNUSED_FOR.days} days"


@page_facts("apikey", "secrets", permission=VIEW)
def last_requests(request: HttpRequest, key: Any) -> Iterator[tuple[int, datetime]]:
    """Tell of each secret version when the last of the key's newest requests came with it."""
    newest = RequestLog.objects.filter(key=key).newest_first()
    seen: dict[int, datetime] = {}
    for version, at in newest.values_list("secret_version", "at")[:LOOKED_AT]:
        if version is not None:
            seen.setdefault(version, at)
    yield from seen.items()


@page_facts("apikey", "impact", permission=VIEW)
def last_hour(request: HttpRequest, key: Any) -> Iterator[str]:
    since = timezone.now() - timedelta(hours=1)
    newest = RequestLog.objects.filter(key=key).since(since).newest_first()
    addresses = list(newest.values_list("address", flat=True)[:LOOKED_AT])
    count, distinct = len(addresses), len({address for address in addresses if address})
    more = "More than " if count == LOOKED_AT else ""
    if count:
        yield (
            f"{more}{count:,} request{pluralize(count)} in the last hour,"
            f" from {distinct:,} address{pluralize(distinct, 'es')}."
        )


@page_facts("apikey", "peaks", permission=VIEW)
def busiest(request: HttpRequest, key: Any) -> Iterator[tuple[str, int]]:
    yield from peaks(key).items()
