"""Requests and decisions as they are put on record, and the spool, for Prometheus."""

from bisect import bisect_left
from collections.abc import Iterator
from functools import lru_cache
from time import time_ns

from django.conf import settings

from apikeys.guard.context import RequestContext
from logs.capture import spool
from logs.capture.record import DECISION, REQUEST, UNCONFIRMED, Exchange
from metrics.families import Counter, Family, Histogram, Readings, Sample
from metrics.tallies import TALLIES, Key

# The code of what was no problem, and the environment of what named none.
OK, NONE = "ok", "none"

REQUESTS = Counter(
    "latchkey_requests_total",
    "Requests to the API that are on record, by the problem's code; ok: it was none.",
    ("environment", "code"),
)
DECISIONS = Counter(
    "latchkey_decisions_total",
    "Decisions about requests to other services that are on record; ok: it may pass.",
    ("environment", "service", "code"),
)
GUARD_DURATION = Histogram(
    "latchkey_guard_duration_seconds",
    "From a request's arrival at a thread until the guard has passed or refused it.",
    ("kind", "environment"),
    (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5),
)
LIMITS = GUARD_DURATION.limits
NOT_RECORDED = Counter(
    "latchkey_requests_not_recorded_total",
    "Requests answered 503 because the spool is full or its disk fails; not among the others.",
)
SHIPPED = Counter("latchkey_records_shipped_total", "Records that this host's worker has stored.")
REJECTED = Counter(
    "latchkey_records_rejected_total", "Records that the database refused, in rejected.txt."
)
SPOOL_BYTES = Family("latchkey_spool_bytes", "Size of the request log's spool on this host.")
SPOOL_LIMIT = Family("latchkey_spool_limit_bytes", "LOG_SPOOL_BYTES: full, requests get 503.")
UNSHIPPED = Family("latchkey_spool_unshipped_bytes", "Bytes of it that are not stored yet.")
SPOOL_AGE = Family("latchkey_spool_age_seconds", "Age of the oldest record that is not stored yet.")


def count(exchange: Exchange, context: RequestContext, began_at: int) -> None:
    """Count a request that was put on record; ``began_at`` in nanoseconds since 1970."""
    decided = context.decided
    if decided is None:
        kind, service, code = exchange.kind, exchange.service, context.code
        took = (context.counted_at or time_ns()) - began_at
    else:
        # The guard has judged the presented key after the caller's.
        kind, service, code = DECISION, decided.service, decided.context.code
        took = time_ns() - began_at
    counted, observed = _keys(kind, exchange.environment, service, code)
    if observed is None:
        TALLIES.add(counted)
    else:
        TALLIES.observe(counted, observed, bisect_left(LIMITS, took), took)


@lru_cache(maxsize=1024)
def _keys(
    kind: str, environment: str | None, service: str, code: str | None
) -> tuple[Key, Key | None]:
    """Return what counts a request of this kind, and what its duration if it met the guard."""
    named, outcome = environment or NONE, code or OK
    duration = (GUARD_DURATION.name, kind, named) if environment else None
    if kind == REQUEST:
        return (REQUESTS.name, named, outcome), duration
    # Else a stranger could make as many names as he likes.
    is_confirmed = environment is not None and outcome not in UNCONFIRMED
    return (DECISIONS.name, named, service if is_confirmed else "", outcome), duration


def read_spool() -> Iterator[Sample]:
    behind = spool.backlog(settings.LOG_SPOOL)
    yield Sample(SPOOL_BYTES, (), behind.total_bytes)
    yield Sample(SPOOL_LIMIT, (), settings.LOG_SPOOL_BYTES)
    yield Sample(UNSHIPPED, (), behind.unshipped_bytes)
    yield Sample(SPOOL_AGE, (), behind.lag_seconds)


METRICS = (
    REQUESTS,
    DECISIONS,
    GUARD_DURATION,
    NOT_RECORDED,
    SHIPPED,
    REJECTED,
    Readings("spool", (SPOOL_BYTES, SPOOL_LIMIT, UNSHIPPED, SPOOL_AGE), read_spool),
)
