"""The request log: how fast it is shipped, and how fast its pages answer over many rows."""

import os
import sys
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from config.wsgi import application  # noqa: F401 - sets Django up

# isort: split
import orjson
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone

from apikeys import lifecycle
from apikeys.audit import Actor
from apikeys.environments import Environment
from apikeys.models import ApiKey, Source
from benchmarks.pages import print_medians
from customers.models import Customer
from database.uuid7 import new_id
from logs import retention
from logs.capture.spool import Spool
from logs.models import HourlyUsage, RequestLog
from logs.shipping.shipper import Shipper

SHIPPED = int(os.environ.get("BENCH_SHIPPED", "100000"))
ROWS = int(os.environ.get("BENCH_LOG_ROWS", "5000000"))
DAYS = int(os.environ.get("BENCH_DAYS", "30"))
KEYS = 200

# A row for every number n: the newest first numbers are the oldest. Ids are of version 7.
POSTGRESQL = """
INSERT INTO logs_requestlog (id, at, environment, key_id, secret_version, customer_id, permission,
    method, path, route, query, status, status_class, code, duration, is_slow,
    request_bytes, response_bytes, address, user_agent, kind, service)
SELECT (lpad(to_hex(began + n * step), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0')
    || '8' || lpad(to_hex(n), 15, '0'))::uuid, to_timestamp((began + n * step) / 1000.0),
    CASE n % 10 WHEN 0 THEN 'staging' WHEN 1 THEN 'development' ELSE 'production' END,
    keys[1 + n % {keys}], 1, CASE WHEN n % 50 = 0 THEN customers[1 + (n / 50) % 20] END,
    'customers:read', CASE n % 7 WHEN 0 THEN 'POST' WHEN 1 THEN 'DELETE' ELSE 'GET' END,
    '/api/production/v1/customers/' || n, 'customers/<uuid:customer_id>', '', status, status / 100,
    CASE status WHEN 200 THEN '' WHEN 429 THEN 'rate_limited' WHEN 404 THEN 'not_found'
    ELSE 'unavailable' END, CASE WHEN n % 5000 = 0 THEN 900000 ELSE 1500 + n % 4000 END,
    n % 5000 = 0, 0, 400,
    '198.51.' || (n / 7 % 100) || '.' || (n % 250), 'python-httpx/0.28',
    CASE n % 4 WHEN 3 THEN 'decision' ELSE 'request' END,
    CASE WHEN n % 10000 = 3 THEN 'stock' WHEN n % 4 = 3 THEN 'orders' END
FROM (SELECT n, %s::bigint AS began, %s::bigint AS step, %s::text[] AS keys,
    %s::uuid[] AS customers,
    CASE WHEN n % 2000 = 0 THEN 503 WHEN n % 20 = 0 THEN 429 WHEN n % 33 = 0 THEN 404
    ELSE 200 END AS status FROM generate_series({first}, {last}) AS n) AS numbers
"""


def spool_many() -> None:
    """Write records as the middleware does."""
    keys = list(ApiKey.objects.values_list("pk", flat=True))
    spool = Spool(settings.LOG_SPOOL, 2**40)
    now = time.time_ns() // 1000
    headers = {"Host": "localhost", "User-Agent": "python-httpx/0.28", "Accept": "*/*"}
    answer = {f"X-Header-{number}": "a value of some length" for number in range(12)}
    body = orjson.dumps({"id": str(new_id()), "name": "Northwind", "metadata": {"n": 1}}).decode()
    for number in range(SHIPPED):
        spool.append(
            orjson.dumps(
                (
                    str(new_id()), now + number, "production", keys[number % len(keys)], 1, None,
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


def fill() -> None:
    """Make the rows, spread over a month."""
    keys = list(ApiKey.objects.order_by("pk").values_list("pk", flat=True))[:KEYS]
    customers = list(Customer.objects.order_by("pk").values_list("pk", flat=True))[:20]
    step = DAYS * 86_400_000 // ROWS
    began = int(time.time() * 1000) - ROWS * step
    chunk = 250_000
    with connection.cursor() as cursor:
        for first in range(0, ROWS, chunk):
            last = min(first + chunk, ROWS) - 1
            if connection.vendor == "postgresql":
                sql = POSTGRESQL.replace("{keys}", str(len(keys)))
                sql = sql.replace("{first}", str(first)).replace("{last}", str(last))
                # The only marks are those of the four values.
                sql = sql.replace("n %", "n %%").replace("7 %", "7 %%").replace("50) %", "50) %%")
                cursor.execute(sql, [began, step, keys, customers])
            else:
                fill_sqlite(cursor, first, last, (began, step, keys, customers))
        if connection.vendor == "postgresql":
            cursor.execute("ANALYZE")
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    HourlyUsage.objects.bulk_create(
        (
            HourlyUsage(hour=hour - timedelta(hours=back), environment="production", key_id=key,
                        service=service, requests=20, succeeded=18, limited=1, refused=1,
                        bucket_2=15, bucket_3=5)
            for key in keys for back in range(DAYS * 24) for service in ("", "orders")
        ),
        batch_size=2000, ignore_conflicts=True,
    )  # fmt: skip


def fill_sqlite(cursor: Any, first: int, last: int, given: Any) -> None:
    """Insert a chunk row by row: SQLite has no arrays to choose from."""
    began, step, keys, customers = given
    rows = []
    for n in range(first, last + 1):
        at = began + n * step
        status = 503 if n % 2000 == 0 else 429 if n % 20 == 0 else 404 if n % 33 == 0 else 200
        rows.append((
            f"{at:012x}7{n % 4096:03x}8{n:015x}",
            time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(at / 1000)) + f".{at % 1000:03}000",
            ("staging", "development")[n % 10] if n % 10 < 2 else "production",
            keys[n % len(keys)], 1, customers[n // 50 % 20].hex if n % 50 == 0 else None,
            "customers:read", ("POST", "DELETE")[n % 7] if n % 7 < 2 else "GET",
            f"/api/production/v1/customers/{n}", "customers/<uuid:customer_id>", "", status,
            status // 100,
            {200: "", 429: "rate_limited", 404: "not_found", 503: "unavailable"}[status],
            900_000 if n % 5000 == 0 else 1500 + n % 4000, n % 5000 == 0, 0, 400,
            f"198.51.{n // 7 % 100}.{n % 250}", "python-httpx/0.28",
            "decision" if n % 4 == 3 else "request",
            "stock" if n % 10_000 == 3 else "orders" if n % 4 == 3 else None,
        ))  # fmt: skip
    marks = ", ".join(["%s"] * 22)
    columns = POSTGRESQL.partition("(")[2].partition(")")[0]
    sql = f"INSERT INTO logs_requestlog ({columns}) VALUES ({marks})"  # noqa: S608
    cursor.executemany(sql, rows)


def measure_pages() -> None:
    """Print the median milliseconds of each page."""
    began = time.perf_counter()
    fill()
    print(f"{ROWS:,} rows in {time.perf_counter() - began:.0f} s")
    user, _ = User.objects.get_or_create(username="bench", is_staff=True, is_superuser=True)
    client = Client(SERVER_NAME="localhost")
    client.force_login(user)
    key = ApiKey.objects.order_by("pk").first()
    customer = Customer.objects.order_by("pk").first()
    assert key is not None
    assert customer is not None
    rows = RequestLog.objects.order_by("-pk")
    newest = rows[0]
    deep = rows[ROWS // 2]
    day = timezone.now() - timedelta(days=DAYS // 2)
    base = "/admin/logs/requestlog/"
    pages = {
        "front page": "/admin/",
        "key's page, 24 h": f"/admin/apikeys/apikey/{key.pk}/change/",
        "key's page, 30 d": f"/admin/apikeys/apikey/{key.pk}/change/?period=30d",
        "list": base,
        "list, page in the middle": f"{base}?p=before-{deep.pk}",
        "environment": f"{base}?environment__exact=staging",
        "key": f"{base}?key__id__exact={key.pk}",
        "customer": f"{base}?customer__id__exact={customer.pk}",
        "decisions": f"{base}?kind=decision",
        "requests": f"{base}?kind=request",
        "service": f"{base}?service=orders",
        "service rarely used": f"{base}?service=stock",
        "service nobody used": f"{base}?service=nothing",
        "service and code": f"{base}?service=orders&code=unavailable",
        "4xx": f"{base}?status_class=4",
        "5xx": f"{base}?status_class=5",
        "code": f"{base}?code=unavailable",
        "code nobody had": f"{base}?code=key_revoked",
        "method": f"{base}?method=DELETE",
        "method nobody used": f"{base}?method=PATCH",
        "slow": f"{base}?slow=1",
        "time range": f"{base}?at_from_0={day:%Y-%m-%d}&at_to_0={day:%Y-%m-%d}",
        "key and code": f"{base}?key__id__exact={key.pk}&code=unavailable",
        "search by id": f"{base}?q={newest.pk}",
        "search by address": f"{base}?q={newest.address}",
        "search by path": f"{base}?q=customers/{ROWS - 50_000}",
        "search for nothing": f"{base}?q=nothing-like-this",
        "one request": f"{base}{deep.pk}/change/",
    }
    print_medians(client, pages)
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


def main() -> None:
    """Measure both."""
    Path(settings.LATCHKEY_VAR).mkdir(exist_ok=True)
    call_command("migrate", verbosity=0)
    for number in range(KEYS):
        lifecycle.create(
            environment=Environment.PRODUCTION,
            actor=Actor(Source.SYSTEM, "benchmark"),
            name=f"Key {number}",
        )
    Customer.objects.bulk_create(
        Customer(environment="production", name=f"Customer {number}") for number in range(20)
    )
    measure_shipping()
    sys.stdout.flush()
    if ROWS:
        measure_pages()


if __name__ == "__main__":
    main()
