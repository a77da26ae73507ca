"""What a decision and a guarded request cost the web processes, the worker and each server.

``manage.py serve`` with one web process answers wrk over eight connections, as fast as it can, with
many keys in turn. A round ends when its records are shipped, so the log's costs are in it. What the
processes use while nothing is asked is measured first and taken off. The kinds of request take
turns, and the median of the rounds counts.
"""

import json
import logging
import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, fields
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import urlsplit

os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
os.environ["TRUSTED_PROXIES"] = "127.0.0.0/8"

from config.wsgi import application  # noqa: F401 - sets Django up

# isort: split
import redis
from django.conf import settings
from django.db import connection
from django.utils import timezone

from apikeys.limiter.redis import PREFIX
from apikeys.limiter.store import MAX_BACKWARD, NEVER, SLOTS
from apikeys.limits import MAX_LIMIT, WINDOWS
from benchmarks.capacity import consumption, snapshot
from benchmarks.capacity.model import Costs
from benchmarks.capacity.questions import prepare, script
from benchmarks.capacity.relay import Relay, relaying
from benchmarks.capacity.snapshot import Figures, Processes
from benchmarks.decisions import Way
from logs import retention
from logs.capture import spool
from logs.models import RequestContent, RequestLog
from tests.support.load import Connection
from tests.support.product import Latchkey
from tests.support.servers import wait_until

ROUNDS = max(1, int(os.environ.get("BENCH_ROUNDS", "30")) // 6)
SECONDS = int(os.environ.get("BENCH_SECONDS", "5"))
RELAYED = int(os.environ.get("BENCH_REQUESTS", "2000"))


def load(url: str, path: Path, seconds: int) -> int:
    """Send as many requests as eight connections take; return how many were answered."""
    command = ["wrk", "-t1", "-c8", f"-d{seconds}s", "-s", str(path), url]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    answered = re.search(r"(\d+) requests in", told)
    if answered is None or "Non-2xx" in told or "Socket errors" in told:
        raise SystemExit(told)
    return int(answered[1])


def is_shipped() -> bool:
    """Say whether every record is in the database."""
    return spool.backlog(settings.LOG_SPOOL).unshipped_bytes == 0


@contextmanager
def serving(**addresses: str) -> Iterator[Latchkey]:
    """Serve what is prepared with one web process, at other addresses of the servers if given."""
    product = Latchkey(
        **{
            "database": os.environ["DATABASE_URL"],
            "redis": os.environ["REDIS_URL"],
            "LATCHKEY_VAR": str(settings.LATCHKEY_VAR),
            "TRUSTED_PROXIES": os.environ["TRUSTED_PROXIES"],
            "WEB_CONCURRENCY": "1",
            **addresses,
        }
    )
    try:
        product.serve()
        yield product
    finally:
        product.remove()


def measure(requests: dict[str, list[Way]]) -> dict[str, Figures]:
    """Return what one request of each kind used."""
    samples: dict[str, list[Figures]] = {kind: [] for kind in requests}
    with serving() as product, TemporaryDirectory() as folder:
        scripts = {kind: Path(folder) / f"{number}.lua" for number, kind in enumerate(requests)}
        for kind, path in scripts.items():
            path.write_text(script(requests[kind]))
            load(product.url, path, 1)
        wait_until(is_shipped)
        processes = Processes(product)
        before = processes.figures()
        time.sleep(SECONDS)
        idle = snapshot.since(before, processes.figures())
        for _ in range(ROUNDS):
            for kind, path in scripts.items():
                before = processes.figures()
                answered = load(product.url, path, SECONDS)
                wait_until(is_shipped)
                used = snapshot.without(idle, snapshot.since(before, processes.figures()))
                samples[kind].append(snapshot.each(used, answered))
    return {kind: snapshot.median(rounds) for kind, rounds in samples.items()}


def measure_deletion() -> Figures:
    """Delete the log as retention does; return what a row used, and the time that it took.

    This process does what the worker does. Its statements and the vacuum are PostgreSQL's part.
    """

    def figures() -> Figures:
        mine = consumption.of([os.getpid()])
        postgres = snapshot.of_postgres()
        return {"worker_cpu": mine.cpu, "postgres_cpu": postgres.cpu, "wal": snapshot.wal()}

    rows = RequestLog.objects.count()
    before, began = figures(), time.monotonic()
    # When today is over, and expired.
    expired_at = timezone.now() + timedelta(days=settings.LOG_RETENTION_DAYS + 1)
    retention.prune_expired(expired_at.replace(hour=0, minute=0, second=0, microsecond=0))
    took = (time.monotonic() - began) * 1e6
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            for model in (RequestLog, RequestContent):
                cursor.execute(f"VACUUM {model._meta.db_table}")
    return snapshot.each(snapshot.since(before, figures()) | {"time": took}, rows)


def measure_busy_redis() -> float:
    """Return what one hit of the counters costs Redis when 50 connections keep it busy."""
    if not settings.REDIS_URL:
        return 0.0
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        source = files("apikeys.limiter").joinpath("hit.lua").read_text("utf-8")
        digest = client.script_load(source)
    arguments = [1, 1, SLOTS, MAX_BACKWARD, NEVER]
    for window in WINDOWS:
        arguments += (MAX_LIMIT, window.seconds)
    hits = RELAYED * 50
    command = ["redis-benchmark", "-q", "-p", str(urlsplit(settings.REDIS_URL).port), "-c", "50"]
    command += ["-n", str(hits), "-r", "500", "EVALSHA", digest, "1", f"{PREFIX}:__rand_int__"]
    pids = [snapshot.redis_process()]
    before = consumption.of(pids)
    subprocess.run([*command, *map(str, arguments)], stdout=subprocess.DEVNULL, check=True)
    return (consumption.of(pids).cpu - before.cpu) / hits


def measure_network(requests: dict[str, list[Way]]) -> dict[str, list[float]]:
    """Return the bytes of one request of each kind: HTTP, to PostgreSQL and to Redis."""
    addresses = {"database": os.environ["DATABASE_URL"], "redis": os.environ["REDIS_URL"]}
    ports = {name: urlsplit(url).port for name, url in addresses.items() if url}
    with relaying(*(port for port in ports.values() if port)) as relays:
        for (name, port), relay in zip(ports.items(), relays, strict=True):
            addresses[name] = addresses[name].replace(f":{port}", f":{relay.port}")
        with serving(**addresses) as product, relaying(product.port) as front:
            url, all_relays = f"http://127.0.0.1:{front[0].port}", [*front, *relays]
            return {kind: _bytes_each(url, asked, all_relays) for kind, asked in requests.items()}


def _bytes_each(url: str, requests: list[Way], relays: list[Relay]) -> list[float]:
    """Return what one request adds to each relay, without what passes when nothing is asked."""
    rest, before = time.monotonic(), [relay.passed for relay in relays]
    time.sleep(SECONDS)
    idle = time.monotonic() - rest
    rates = [(relay.passed - then) / idle for relay, then in zip(relays, before, strict=True)]
    began, before = time.monotonic(), [relay.passed for relay in relays]
    caller = Connection(url, "")
    for number in range(RELAYED):
        asked = requests[number % len(requests)]
        answer = caller.send(asked.method, asked.path, asked.body.encode() or None, **asked.headers)
        if answer.status != 200:
            raise SystemExit(f"{asked.path} answered {answer.body!r}")
    caller.close()
    wait_until(is_shipped)
    took = time.monotonic() - began
    return [
        max(0.0, relay.passed - then - rate * took) / RELAYED
        for relay, then, rate in zip(relays, before, rates, strict=True)
    ]


def costs_of(used: Figures, deleted: Figures, busy_hit: float, passed: list[float]) -> Costs:
    """Return the costs of one request, with those of deleting its rows from the log one day."""
    http, to_postgres, to_redis = [*passed, 0.0, 0.0][:3]
    return Costs(
        web_cpu=used["web_cpu"],
        worker_cpu=used["worker_cpu"] + used["rows"] * deleted["worker_cpu"],
        query_cpu=used["query_cpu"],
        log_cpu=used["postgres_cpu"] - used["query_cpu"],
        deletion_cpu=used["rows"] * deleted["postgres_cpu"],
        redis_cpu=used["redis_cpu"],
        redis_busy_cpu=used["hits"] * busy_hit,
        deletion_time=used["rows"] * deleted["time"],
        rows=used["rows"],
        kept_bytes=used["kept"],
        host_bytes=used["host_bytes"],
        wal_bytes=used["wal"] + used["rows"] * deleted["wal"],
        http_bytes=http,
        postgres_bytes=to_postgres,
        redis_bytes=to_redis,
    )


def save(path: Path, costs: dict[str, Costs]) -> None:
    """Add the costs on this storage pair to a file."""
    pair = "postgres" if connection.vendor == "postgresql" else "sqlite"
    measured = json.loads(path.read_text()) if path.exists() else {"pairs": {}}
    measured["on"] = f"{timezone.now():%Y-%m-%d}"
    measured["rounds"] = f"{ROUNDS} of {SECONDS} s"
    measured["machine"] = os.environ["BENCH_MACHINE"]
    measured["pairs"][pair] = {
        kind: {name: round(number, 2) for name, number in asdict(one).items()}
        for kind, one in costs.items()
    }
    path.write_text(json.dumps(measured, indent=1) + "\n")


def main() -> None:
    """Measure and print a table: microseconds of a core and bytes, a request."""
    # It would write a line for each question whether the product is ready.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    requests = prepare()
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            # Or this process's own questions make helpers, whose use is not told from the log's.
            cursor.execute("SET max_parallel_workers_per_gather = 0")
            cursor.execute("CHECKPOINT")
    used, passed = measure(requests), measure_network(requests)
    deleted, hit = measure_deletion(), measure_busy_redis()
    costs = {kind: costs_of(used[kind], deleted, hit, passed[kind]) for kind in requests}
    print(f"{'':16}" + "".join(f"{kind:>20}" for kind in costs))
    for field in fields(Costs):
        row = "".join(f"{getattr(one, field.name):20.2f}" for one in costs.values())
        print(f"{field.name:16}{row}")
    # Until the last record was shipped.
    print(f"{'requests/s':16}" + "".join(f"{1e6 / one['at']:20.0f}" for one in used.values()))
    if name := os.environ.get("BENCH_JSON"):
        save(Path(name), costs)


if __name__ == "__main__":
    main()
