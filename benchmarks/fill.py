"""Fills a database by SQL of both kinds: keys, requests with their hourly usage, audit events.

A few keys make most requests, and one key in fifty is refused half the time. Indexes of what is
filled are dropped first and made again afterwards, which takes a fraction of the time.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from django.db import connection, models, transaction

from audit.models import Event
from database.uuid7 import first_id_at
from logs.models import HourlyUsage, RequestLog
from logs.partitions import upkeep

CHUNK = 250_000
CUSTOMERS = 20
DAY = 86_400_000
PARTS = {
    "postgresql": {
        "key_id": "'k' || lpad(n::text, 11, '0')",
        "digest": "lpad(n::text, 64, '0')",
        "id": "(lpad(to_hex(ms), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8'"
        " || lpad(to_hex(n), 15, '0'))::uuid",
        "at": "to_timestamp(ms / 1000.0)",
        "hour": "date_trunc('hour', at)",
        "true": "true",
        "false": "false",
        "some_customer": f"lpad(to_hex(n / 50 % {CUSTOMERS} + 1), 32, '0')::uuid",
        "changes": "'{}'::jsonb",
    },
    "sqlite": {
        "key_id": "printf('k%011d', n)",
        "digest": "printf('%064d', n)",
        "id": "printf('%012x7%03x8%015x', ms, n % 4096, n)",
        "at": "strftime('%Y-%m-%d %H:%M:%f', ms / 1000.0, 'unixepoch') || '000'",
        "hour": "substr(at, 1, 13) || ':00:00'",
        "true": "1",
        "false": "0",
        "some_customer": f"printf('%032x', n / 50 % {CUSTOMERS} + 1)",
        "changes": "'{}'",
    },
}
NUMBERS = (
    "WITH RECURSIVE numbers (n) AS (SELECT CAST({first} AS bigint) UNION ALL"
    " SELECT n + 1 FROM numbers WHERE n < {last})"
)
KEYS = """
INSERT INTO apikeys_apikey (id, name, environment, permissions, customer_scope, networks,
    last_used_agent, tags, owner, note, is_awaiting, created_at, last_used_at, expires_at, revision)
SELECT {key_id}, 'Key ' || n, {environment}, 'customers:read customers:write', 'all', '',
    '', '', '', '', {false}, at, CASE WHEN n % 3 > 0 THEN {now} END,
    CASE WHEN n % 20 = 0 THEN {soon} END, 1
FROM (SELECT n, {at} AS at FROM
    (SELECT n, {began} + n * {step} AS ms FROM numbers) AS times) AS keys
"""
SECRETS = """
INSERT INTO apikeys_secretversion (key_id, number, digest, pepper, created_at)
SELECT {key_id}, 1, {digest}, 1, {now} FROM numbers
"""
ENVIRONMENT = "CASE {0} % 10 WHEN 0 THEN 'staging' WHEN 1 THEN 'development' ELSE 'production' END"
# Of 65,536 numbers the cube: an eighth of the keys make half of the requests.
HASH = "n * 2654435761 % 4294967296 / 65536"
REQUESTS = """
INSERT INTO logs_requestlog (id, at, environment, key_id, secret_version, customer_id, permission,
    method, path, route, query, status, status_class, code, duration, is_slow,
    request_bytes, response_bytes, address, user_agent, kind, service)
SELECT {id}, {at}, {environment}, {key_id}, 1,
    CASE WHEN number % 50 = 0 THEN {some_customer} END, 'customers:read',
    CASE number % 7 WHEN 0 THEN 'POST' WHEN 1 THEN 'DELETE' ELSE 'GET' END,
    '/api/production/v1/customers/' || number, 'customers/<uuid:customer_id>', '', status,
    status / 100, CASE status WHEN 200 THEN '' WHEN 429 THEN 'rate_limited'
    WHEN 403 THEN 'permission_denied' WHEN 404 THEN 'not_found' ELSE 'unavailable' END,
    CASE WHEN number % 5000 = 0 THEN 900000 ELSE 1500 + number % 4000 END,
    CASE WHEN number % 5000 = 0 THEN {true} ELSE {false} END, 0, 400,
    '198.51.' || (number / 7 % 100) || '.' || (number % 250), 'python-httpx/0.28',
    CASE number % 4 WHEN 3 THEN 'decision' ELSE 'request' END,
    CASE WHEN number % 10000 = 3 THEN 'stock' WHEN number % 4 = 3 THEN 'orders' END
FROM (SELECT number, n, ms, CASE WHEN number % 2000 = 0 THEN 503 WHEN number % 20 = 0 THEN 429
    WHEN number % 33 = 0 THEN 404 WHEN n % 50 = 7 AND number % 2 = 1 THEN 403 ELSE 200
    END AS status
    FROM (SELECT n AS number, {began} + n * {step} AS ms,
        1 + h * h / 65536 * h / 65536 * {keys} / 65536 AS n
        FROM (SELECT n, {hash} AS h FROM numbers) AS hashes) AS keyed) AS answered
"""
USAGE = """
INSERT INTO logs_hourlyusage (hour, environment, key_id, service, requests, succeeded, refused,
    limited, failed, {buckets})
SELECT {hour}, environment, key_id, coalesce(service, ''), count(*),
    sum(CASE WHEN status < 400 THEN 1 ELSE 0 END),
    sum(CASE WHEN status >= 400 AND status < 500 AND status <> 429 THEN 1 ELSE 0 END),
    sum(CASE WHEN status = 429 THEN 1 ELSE 0 END), sum(CASE WHEN status >= 500 THEN 1 ELSE 0 END),
    0, 0, count(*), {zeros}
FROM logs_requestlog WHERE key_id IS NOT NULL
GROUP BY 1, environment, key_id, coalesce(service, '')
ORDER BY 1
ON CONFLICT DO NOTHING
"""
CONTENT = """
INSERT INTO logs_requestcontent (request_id, request_headers, response_headers, request_body,
    response_body, is_request_cut, is_response_cut)
SELECT id, '{{"Host": "keys.example", "Accept": "*/*"}}', '{{"Content-Type": "application/json"}}',
    '', '', {false}, {false} FROM logs_requestlog WHERE id >= '{first}' AND id < '{last}'
"""
EVENTS = """
INSERT INTO audit_event (id, created_at, source, actor_name, action, object_type, object_id,
    object_label, environment, reason, changes)
SELECT {id}, {at}, CASE n % 3 WHEN 0 THEN 'api' WHEN 1 THEN 'command' ELSE 'admin' END,
    'person' || (n % 40), CASE n % 4 WHEN 0 THEN 'created' WHEN 1 THEN 'revoked' ELSE 'changed'
    END, 'apikeys.apikey', {key_id}, 'Key ' || n, {environment}, '', {changes}
FROM (SELECT n % 10000 AS n, {began} + n * {step} AS ms FROM numbers) AS times
"""


@contextmanager
def _without_indexes(model: type[models.Model]) -> Iterator[None]:
    """Drop a model's indexes, and make them again after the block."""
    with connection.schema_editor() as editor:
        for index in model._meta.indexes:
            editor.remove_index(model, index)
    yield
    with connection.schema_editor() as editor:
        for index in model._meta.indexes:
            editor.add_index(model, index)


@contextmanager
def _in_bulk() -> Iterator[None]:
    """Allow statements that take longer than the product's may, and gather statistics after."""
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute("SET statement_timeout = 0; SET maintenance_work_mem = '1GB'")
        yield
        cursor.execute("ANALYZE")
        if connection.vendor == "postgresql":
            cursor.execute("RESET statement_timeout; RESET maintenance_work_mem")


def _insert(sql: str, first: int, last: int, **given: object) -> None:
    """Run an INSERT for the numbers of a range, so many at once."""
    parts = PARTS[connection.vendor]
    statement = sql.format(**parts | given)
    for start in range(first, last + 1, CHUNK):
        numbers = NUMBERS.format(first=start, last=min(start + CHUNK - 1, last))
        with connection.cursor() as cursor:
            # SQLite takes the series after the INSERT as well as before it.
            cursor.execute(f"{numbers} {statement}")


@_in_bulk()
def fill_keys(first: int, last: int, days: int) -> None:
    """Make the keys of a range of numbers, ``k00000000001`` and so on, each with a secret."""
    now = int(time.time() * 1000)
    at = PARTS[connection.vendor]["at"]
    given = {
        "environment": ENVIRONMENT.format("n"),
        "now": at.replace("ms", str(now)),
        "soon": at.replace("ms", str(now + 20 * DAY)),
        "step": days * DAY // last,
        "began": now - days * DAY,
    }
    _insert(KEYS, first, last, **given)
    _insert(SECRETS, first, last, **given)


@_in_bulk()
def fill_requests(number: int, days: int, keys: int, *, with_content: bool = False) -> None:
    """Make requests of the first ``keys`` keys, and their usage, spread over the days."""
    step = days * DAY // number
    began = int(time.time() * 1000) - number * step
    upkeep.divide_oldest(datetime.fromtimestamp(began / 1000, UTC))
    with _without_indexes(RequestLog):
        # Those of a day in a transaction: PostgreSQL writes no WAL of a table that is new in it.
        for first in range(1, number + 1, number // days):
            last = min(first + number // days - 1, number)
            with transaction.atomic():
                _insert(REQUESTS, first, last, began=began, step=step, keys=keys,
                        environment=ENVIRONMENT.format("n"), hash=HASH)  # fmt: skip
                if with_content:
                    _fill_content(began + first * step, began + (last + 1) * step)
    with _without_indexes(HourlyUsage), connection.cursor() as cursor:
        cursor.execute(USAGE.format(
            **PARTS[connection.vendor],
            buckets=", ".join(f"bucket_{number}" for number in range(16)),
            zeros=", ".join(["0"] * 13),
        ))  # fmt: skip


def _fill_content(first: int, last: int) -> None:
    first_id, last_id = (
        first_id_at(datetime.fromtimestamp(ms / 1000, UTC)) for ms in (first, last)
    )
    with connection.cursor() as cursor:
        cursor.execute(CONTENT.format(**PARTS[connection.vendor], first=first_id, last=last_id))


@_in_bulk()
def fill_events(number: int, days: int) -> None:
    """Make audit events without seals, spread over the days."""
    step = days * DAY // number
    with _without_indexes(Event):
        _insert(EVENTS, 1, number, began=int(time.time() * 1000) - number * step, step=step,
                environment=ENVIRONMENT.format("n"))  # fmt: skip
