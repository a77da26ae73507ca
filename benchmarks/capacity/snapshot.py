"""What the product's processes and its servers have used so far, as figures by name."""

import statistics
import time
from collections.abc import Collection
from pathlib import Path

import redis
from django.conf import settings
from django.db import connection, models

from benchmarks.capacity import consumption
from benchmarks.capacity.consumption import Used
from logs.models import HourlyUsage, KeyNetwork, RequestContent, RequestLog
from tests.support.product import Latchkey

LOGGED: tuple[type[models.Model], ...] = (RequestLog, RequestContent, HourlyUsage, KeyNetwork)
# What grows with time even if nothing is asked; the others are counts of what is there.
GROWING = ("web_cpu", "worker_cpu", "query_cpu", "postgres_cpu", "redis_cpu", "host_bytes", "wal")

Figures = dict[str, float]


class Processes:
    """The processes of a product and of its servers; figures are microseconds and bytes."""

    def __init__(self, product: Latchkey) -> None:
        self._worker = set(product.processes("latchkey-worker"))
        self._web = set(product.processes("")) - self._worker
        self._redis = [redis_process()] if settings.REDIS_URL else []
        self._queries: set[int] = set()

    def figures(self) -> Figures:
        """Return what everything has used so far, and the bytes and rows that are kept."""
        at = time.monotonic() * 1e6
        web, worker = consumption.of(self._web), consumption.of(self._worker)
        return {
            "at": at,
            "web_cpu": web.cpu,
            "worker_cpu": worker.cpu,
            "query_cpu": self._of_queries(),
            "postgres_cpu": of_postgres().cpu - _of_this_process(),
            "redis_cpu": consumption.of(self._redis).cpu,
            "host_bytes": web.written + worker.written,
            "wal": wal(),
            "hits": _hits(),
            "kept": _kept(),
            "rows": float(RequestLog.objects.count()),
        }

    def _of_queries(self) -> float:
        """Return what the connections of the web processes used of PostgreSQL."""
        if connection.vendor != "postgresql":
            return 0.0
        ports = consumption.local_ports(self._web)
        backends = _query("SELECT pid, client_port FROM pg_stat_activity WHERE client_port > 0")
        self._queries |= {pid for pid, port in backends if port in ports}
        return consumption.of(self._queries).cpu


def since(before: Figures, now: Figures) -> Figures:
    """Return what was used in between."""
    return {name: now[name] - before[name] for name in before}


def without(idle: Figures, used: Figures) -> Figures:
    """Return what was used, but for what is used in as long while nothing is asked."""
    times = used["at"] / idle["at"]
    return used | {name: used[name] - times * idle[name] for name in GROWING}


def each(used: Figures, number: float) -> Figures:
    """Return the share of one of ``number``."""
    return {name: amount / number for name, amount in used.items()}


def median(samples: Collection[Figures]) -> Figures:
    """Return the median of each figure."""
    first, *_ = samples
    return {name: statistics.median(sample[name] for sample in samples) for name in first}


def of_postgres() -> Used:
    """Return what all of PostgreSQL's processes have used, those that ended included."""
    if connection.vendor != "postgresql":
        return Used()
    with connection.cursor() as cursor:
        cursor.execute("SHOW data_directory")
        folder = Path(cursor.fetchone()[0])
    postmaster = int((folder / "postmaster.pid").read_text().splitlines()[0])
    return consumption.of_family(postmaster)


def wal() -> float:
    """Return how much PostgreSQL has written to its WAL."""
    if connection.vendor != "postgresql":
        return 0.0
    return float(_query("SELECT (pg_current_wal_lsn() - '0/0')::bigint")[0][0])


def redis_process() -> int:
    """Return Redis' process."""
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        return int(client.info("server")["process_id"])


def _of_this_process() -> float:
    if connection.vendor != "postgresql":
        return 0.0
    return consumption.of(_query("SELECT pg_backend_pid()")[0]).cpu


def _hits() -> float:
    """Return how often the counters' script has run."""
    if not settings.REDIS_URL:
        return 0.0
    with redis.Redis.from_url(settings.REDIS_URL) as client:
        return float(client.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"])


def _kept() -> float:
    if connection.vendor != "postgresql":
        (pages,), (bytes_each,) = _query("PRAGMA page_count") + _query("PRAGMA page_size")
        return float(pages * bytes_each)
    tables = (f"pg_total_relation_size('{model._meta.db_table}')" for model in LOGGED)
    return float(_query(f"SELECT {' + '.join(tables)}")[0][0])


def _query(statement: str) -> list[tuple[int, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return [tuple(row) for row in cursor.fetchall()]
