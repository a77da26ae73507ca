"""The request log in ClickHouse's engine (chDB): how fast it is shipped, its size, its pages."""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import timedelta
from uuid import UUID

from tests.support.clickhouse import ClickHouse
from tests.support.servers import running

server = ClickHouse()
os.environ["LOG_STORE_URL"] = server.url
os.environ.setdefault("LATCHKEY_VAR", tempfile.mkdtemp(prefix="latchkey-bench-"))

from benchmarks import logs

# isort: split
import logging

from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from benchmarks import fill
from benchmarks.pages import print_medians
from customers.models import Customer
from logs import export
from logs.models import RequestLog
from logs.stores import log_store

CHUNK = 500_000
EXPORTED = min(logs.ROWS, 20_000)
SIZE = """
SELECT sum(rows), sum(data_compressed_bytes), sum(bytes_on_disk), count()
FROM system.parts WHERE table = 'logs_requestlog' AND active
"""
# As benchmarks/fill.py fills the database: a few keys make most requests.
REQUESTS = """
INSERT INTO logs_requestlog (id, at, environment, key_id, secret_version, customer_id, permission,
    method, path, route, query, status, status_class, code, duration, is_slow, request_bytes,
    response_bytes, address, user_agent, kind, service, request_headers, response_headers,
    request_body, response_body, is_request_cut, is_response_cut)
SELECT bitShiftLeft(toUInt128(ms), 80) + bitShiftLeft(toUInt128(7), 76)
        + bitShiftLeft(toUInt128(2), 62) + toUInt128(cityHash64(number) % 4611686018427387904),
    fromUnixTimestamp64Milli(ms, 'UTC'),
    multiIf(n % 10 = 0, 'staging', n % 10 = 1, 'development', 'production'),
    concat('k', leftPad(toString(n), 11, '0')), 1,
    if(number % 50 = 0, toUInt128(intDiv(n, 50) % {customers} + 1), NULL), 'customers:read',
    multiIf(number % 7 = 0, 'POST', number % 7 = 1, 'DELETE', 'GET'),
    concat('/api/production/v1/customers/', toString(number)), 'customers/<uuid:customer_id>', '',
    multiIf(number % 2000 = 0, 503, number % 20 = 0, 429, number % 33 = 0, 404,
        n % 50 = 7 AND number % 2 = 1, 403, 200) AS answered,
    intDiv(answered, 100), transform(answered, [200, 429, 403, 404],
        ['', 'rate_limited', 'permission_denied', 'not_found'], 'unavailable'),
    if(number % 5000 = 0, 900000, 1500 + number % 4000), number % 5000 = 0, 0, 400,
    concat('198.51.', toString(intDiv(number, 7) % 100), '.', toString(number % 250)),
    'python-httpx/0.28', if(number % 4 = 3, 'decision', 'request'),
    multiIf(number % 10000 = 3, 'stock', number % 4 = 3, 'orders', NULL),
    '{{"Host": "localhost", "User-Agent": "python-httpx/0.28", "Accept": "*/*"}}',
    concat('{{"X-Request-ID": "', toString(generateUUIDv4()), '"}}'), '',
    concat('{{"id": "', toString(generateUUIDv4()), '", "name": "Northwind"}}'), 0, 0
FROM (SELECT number, {began} + intDiv(number * {span}, {rows}) AS ms,
    1 + toUInt64(pow(cityHash64(number, 1) % 65536 / 65536, 3) * {keys}) AS n
    FROM numbers({first}, {count}))
"""


def fill_requests() -> None:
    """Make the rows that pages are measured over."""
    began = time.perf_counter()
    span = logs.DAYS * fill.DAY - 1
    start = int(timezone.now().timestamp() * 1000) - span
    for first in range(0, logs.ROWS, CHUNK):
        server.run(
            REQUESTS.format(
                customers=fill.CUSTOMERS, began=start, span=span, rows=logs.ROWS, keys=logs.KEYS,
                first=first, count=min(CHUNK, logs.ROWS - first),
            )
        )  # fmt: skip
    print(f"{logs.ROWS:,} requests in {time.perf_counter() - began:.0f} s", flush=True)


def print_size(of: str) -> None:
    ((rows, _, on_disk, parts),) = server.ask(SIZE)
    rows, on_disk = int(rows), int(on_disk)
    print(f"{of:28} {on_disk / max(rows, 1):7.1f} bytes a row with indexes, {parts} parts")


def addresses() -> Iterator[tuple[str, str]]:
    """Yield what is asked for, as ``benchmarks.logs`` asks the database."""
    newest = RequestLog.objects.newest_first()[0]
    key, middle = newest.key_id, timezone.now() - timedelta(days=logs.DAYS // 2)
    deep = RequestLog.objects.before(middle).newest_first()[0]
    base = "/admin/logs/requestlog/"
    yield "requests", base
    yield "page in the middle", f"{base}?p=before-{deep.pk}"
    yield "key, requests", f"/admin/apikeys/apikey/{key}/change/?tab=requests"
    for name, query in {
        "environment": "environment__exact=staging",
        "key": f"key__id__exact={key}",
        "customer": f"customer__id__exact={UUID(int=1)}",
        "decisions": "kind=decision",
        "service": "service=orders",
        "service rarely used": "service=stock",
        "service nobody used": "service=nothing",
        "5xx": "status_class=5",
        "code": "code=unavailable",
        "frequent code": "code=rate_limited",
        "code nobody had": "code=key_revoked",
        "method nobody used": "method=PATCH",
        "slow": "slow=1",
        "a day": f"at_from_0={middle:%Y-%m-%d}&at_to_0={middle:%Y-%m-%d}",
        "key and code": f"key__id__exact={key}&code=unavailable",
        "filters that never meet": "kind=request&service=orders",
        "by id": f"q={deep.pk}",
        "by address": f"q={newest.address}",
        "by path": f"q={deep.path[-10:]}",
        "by what is not there": "q=nothing-like-this",
    }.items():
        yield f"requests, {name}", f"{base}?{query}"
    yield "live tail", f"{base}tail/{newest.pk}/"
    yield "one request", f"{base}{deep.pk}/change/"


def measure_pages(client: Client) -> None:
    """Print the median milliseconds of each page, and lines a second of an export."""
    assert server.process is not None
    print_medians(client, dict(addresses()), server=server.process.pid)
    began, lines = time.perf_counter(), 0
    for text in export.lines(RequestLog.objects.all(), "ndjson"):
        lines += text.count("\n")
        if lines >= EXPORTED:
            break
    print(f"export       {lines / (time.perf_counter() - began):7.0f} lines/s")


def main() -> None:
    """Measure it with a server of its own."""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    print(f"load {os.getloadavg()[0]:.1f} before", flush=True)
    with running(server):
        call_command("migrate", verbosity=0)
        log_store().prepare()
        fill.fill_keys(1, logs.KEYS, logs.DAYS * 12)
        logs.measure_shipping()
        print_size("as shipped")
        server.run("OPTIMIZE TABLE logs_requestlog FINAL")
        print_size("merged")
        if logs.ROWS:
            Customer.objects.bulk_create(
                Customer(id=UUID(int=n), environment="production", name=f"Customer {n}")
                for n in range(1, fill.CUSTOMERS + 1)
            )
            fill_requests()
            print_size("filled")
            sys.stdout.flush()
            measure_pages(logs.signed_in())


if __name__ == "__main__":
    main()
