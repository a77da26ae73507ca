"""The request log: how fast it is shipped, and how fast its pages answer over many rows."""

import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from uuid import UUID

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from config.wsgi import application  # noqa: F401 - sets Django up

# isort: split
import orjson
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from benchmarks import fill
from benchmarks.log_days import measure_day
from benchmarks.pages import print_medians
from customers.models import Customer
from database.uuid7 import new_id
from logs import retention
from logs.capture.spool import Spool
from logs.models import RequestLog
from logs.partitions import upkeep
from logs.shipping.shipper import Shipper
from review.findings import FINDINGS

SHIPPED = int(os.environ.get("BENCH_SHIPPED", "100000"))
ROWS = int(os.environ.get("BENCH_LOG_ROWS", "5000000"))
DAYS = int(os.environ.get("BENCH_DAYS", "30"))
KEYS = int(os.environ.get("BENCH_LOG_KEYS", "10000"))
SEARCHED_KEYS = int(os.environ.get("BENCH_KEYS", "1000000"))
EVENTS = int(os.environ.get("BENCH_EVENTS", "1000000"))


def spool_many() -> None:
    """Write records as the middleware does."""
    spool = Spool(settings.LOG_SPOOL, 2**40)
    now = time.time_ns() // 1000
    headers = {"Host": "localhost", "User-Agent": "python-httpx/0.28", "Accept": "*/*"}
    answer = {f"X-Header-{number}": "a value of some length" for number in range(12)}
    body = orjson.dumps({"id": str(new_id()), "name": "Northwind", "metadata": {"n": 1}}).decode()
    for number in range(SHIPPED):
        spool.append(
            orjson.dumps(
                (
                    str(new_id()), now + number, "production", f"k{1 + number % 100:011}", 1, None,
                    None, "customers:read", "GET", "/api/production/v1/customers", "customers", "",
                    200, "", 1500 + number % 3000, 0, len(body), "198.51.100.7",
                    "python-httpx/0.28", headers, answer, "", body, 0, True,
                )
            )
        )  # fmt: skip


def measure_shipping() -> None:
    """Print records per second."""
    shipper = Shipper(settings.LOG_SPOOL)
    shipper.ship()
    spool_many()
    began = time.perf_counter()
    shipped = shipper.ship()
    seconds = time.perf_counter() - began
    shipper.close()
    if shipped != SHIPPED:
        raise SystemExit(f"{shipped} of {SHIPPED} were shipped")
    print(f"shipping     {shipped / seconds:7.0f} records/s")


def fill_all(*, with_content: bool = False) -> None:
    """Make what the pages are measured over."""
    began = time.perf_counter()
    Customer.objects.bulk_create(
        Customer(id=UUID(int=number), environment="production", name=f"Customer {number}")
        for number in range(1, fill.CUSTOMERS + 1)
    )
    fill.fill_requests(ROWS, DAYS, KEYS, with_content=with_content)
    fill.fill_events(EVENTS, DAYS * 12)
    print(
        f"{ROWS:,} requests, {KEYS:,} keys and {EVENTS:,} audit events"
        f" in {time.perf_counter() - began:.0f} s",
        flush=True,
    )


def measure_pages(client: Client) -> None:
    """Print the median milliseconds of each page."""
    key = RequestLog.objects.order_by("-pk").values_list("key_id", flat=True)[0]
    customer = UUID(int=1)
    middle = timezone.now() - timedelta(days=DAYS // 2)
    deep = RequestLog.objects.before(middle).newest_first()[0]
    newest = RequestLog.objects.newest_first()[0]
    refused = RequestLog.objects.filter(code="rate_limited").newest_first()[0]
    base = "/admin/logs/requestlog/"
    keys, events = "/admin/apikeys/apikey/", "/admin/audit/event/"
    pages = {
        "overview": "/admin/",
        "keys": keys,
        "keys by name": f"{keys}?o=1",
        "keys, active": f"{keys}?status=active",
        "key, overview": f"{keys}{key}/change/",
        "key, overview, 30 days": f"{keys}{key}/change/?period=30d",
    }
    for tab in ("settings", "secrets", "requests", "jobs", "audit"):
        pages[f"key, {tab}"] = f"{keys}{key}/change/?tab={tab}"
    pages |= {
        "requests": base,
        "requests, page in the middle": f"{base}?p=before-{deep.pk}",
        "requests, environment": f"{base}?environment__exact=staging",
        "requests, key": f"{base}?key__id__exact={key}",
        "requests, customer": f"{base}?customer__id__exact={customer}",
        "requests, decisions": f"{base}?kind=decision",
        "requests, no decisions": f"{base}?kind=request",
        "requests, service": f"{base}?service=orders",
        "requests, service rarely used": f"{base}?service=stock",
        "requests, service nobody used": f"{base}?service=nothing",
        "requests, service and code": f"{base}?service=orders&code=unavailable",
        "requests, 4xx": f"{base}?status_class=4",
        "requests, 5xx": f"{base}?status_class=5",
        "requests, code": f"{base}?code=unavailable",
        "requests, frequent code": f"{base}?code=rate_limited",
        "requests, code nobody had": f"{base}?code=key_revoked",
        "requests, method": f"{base}?method=DELETE",
        "requests, method nobody used": f"{base}?method=PATCH",
        "requests, slow": f"{base}?slow=1",
        "requests, a day": f"{base}?at_from_0={middle:%Y-%m-%d}&at_to_0={middle:%Y-%m-%d}",
        "requests, key and code": f"{base}?key__id__exact={key}&code=unavailable",
        "requests, method and class": f"{base}?method=DELETE&status_class=5",
        "requests, filters that never meet": f"{base}?kind=request&service=orders",
        "requests, two frequent filters": f"{base}?code=rate_limited&service=orders",
        "requests, path and two filters": f"{base}?q=00/12&method=POST&code=permission_denied",
        "requests, by id": f"{base}?q={newest.pk}",
        "requests, by address": f"{base}?q={newest.address}",
        "requests, by path": f"{base}?q={newest.path[-12:]}",
        "requests, by what is not there": f"{base}?q=nothing-like-this",
        "live tail": f"{base}tail/{newest.pk}/",
        "live tail, key and code": f"{base}tail/{newest.pk}/?key__id__exact={key}&code=unavailable",
        "one request": f"{base}{deep.pk}/change/",
        "one refused request": f"{base}{refused.pk}/change/",
        "audit events": events,
        "audit events, person": f"{events}?actor_name=person7",
        "audit events, kind without any": f"{events}?object_type=jobs.job",
        "audit events, person and action": f"{events}?actor_name=person7&action=revoked",
        "audit events, of a name": f"{events}?q=Key 77",
        "audit events, by what is not there": f"{events}?q=nothing-like-this",
    }
    for finding in FINDINGS:
        pages[f"review, {finding.name}"] = f"/admin/review/{finding.name}/"
    print_medians(client, pages)


def measure_search(client: Client) -> None:
    """Print the median milliseconds of the one search, with many keys more."""
    fill.fill_keys(KEYS + 1, SEARCHED_KEYS, DAYS * 12)
    newest = RequestLog.objects.newest_first()[0]
    terms = {
        "key id": f"k{KEYS // 2:011}",
        "request id": newest.pk,
        "id of nothing": new_id(),
        "name that all begin with": "Key",
        "name": f"Key {SEARCHED_KEYS // 2}",
        "part of a name": str(SEARCHED_KEYS // 2)[:-1],
        "nothing": "nothing-like-this",
    }
    pages = {f"search, {name}": f"/admin/search/?part=1&q={term}" for name, term in terms.items()}
    print_medians(client, pages, limit=100)


def measure_pruning() -> None:
    """Print how many rows are deleted a second."""
    began = time.perf_counter()
    oldest = timezone.now() - timedelta(days=DAYS - 1)
    deleted = 0
    for number in retention.prune(oldest):
        deleted += number
        if time.perf_counter() - began > 5:
            break
    print(
        f"pruning      {deleted / (time.perf_counter() - began):7.0f} rows/s, its pauses included"
    )


def signed_in() -> Client:
    user, _ = User.objects.get_or_create(username="bench", is_staff=True, is_superuser=True)
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    return client


def main() -> None:
    """Measure both, or fill or measure alone."""
    Path(settings.LATCHKEY_VAR).mkdir(exist_ok=True)
    call_command("migrate", verbosity=0)
    if sys.argv[1:] == ["fill"]:
        fill.fill_keys(1, KEYS, DAYS * 12)
        fill_all(with_content=True)
        return
    if sys.argv[1:] == ["measure"]:
        upkeep.make_ahead(timezone.now())
        measure_shipping()
        measure_pages(signed_in())
        measure_day()
        return
    fill.fill_keys(1, KEYS, DAYS * 12)
    measure_shipping()
    sys.stdout.flush()
    if ROWS:
        fill_all()
        client = signed_in()
        measure_pages(client)
        measure_search(client)
        measure_pruning()


if __name__ == "__main__":
    main()
