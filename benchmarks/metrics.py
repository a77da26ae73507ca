"""What counting a request costs, and what a scrape does with many keys."""

import os
import time
import timeit

os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"

import django

django.setup()

from django.core.management import call_command

from apikeys.guard.context import RequestContext
from benchmarks.fill import fill_keys
from benchmarks.guard import ROUNDS
from benchmarks.keys import MANY
from logs import metrics
from logs.capture.record import DECISION, REQUEST, Exchange
from metrics import exposition

CALLS = 20_000
DAYS = 365


def counting(kind: str) -> float:
    """Return the microseconds of counting one: the least of the rounds, as interruptions add."""
    context = RequestContext("")
    context.counted_at = time.time_ns()
    exchange = Exchange({}, "GET", "/", "", "", "production", 200, (), b"", kind=kind)
    exchange = exchange._replace(service="orders" if kind == DECISION else "")
    given = {"count": metrics.count, "exchange": exchange, "context": context}
    statement = "count(exchange, context, context.counted_at - 500_000)"
    return min(timeit.repeat(statement, globals=given, number=CALLS, repeat=ROUNDS)) / CALLS * 1e6


def scrape() -> tuple[float, float]:
    """Return the milliseconds of a scrape, and those of this process's processor."""
    began, used = time.perf_counter(), time.process_time()
    exposition.text()
    return (time.perf_counter() - began) * 1000, (time.process_time() - used) * 1000


def main() -> None:
    """Print what counting and scraping take."""
    for kind in (REQUEST, DECISION):
        print(f"counting a {kind:24} {counting(kind):6.2f} µs")
    call_command("migrate", verbosity=0)
    fill_keys(1, MANY, DAYS)
    scrape()
    again = min(scrape() for _ in range(5))
    exposition._kept.clear()
    anew = min((exposition._kept.clear(), scrape())[1] for _ in range(5))
    print(f"a scrape with {MANY:,} keys {anew[0]:10.0f} ms, {anew[1]:.0f} ms processor")
    print(f"the next one, most of it kept {again[0]:12.1f} ms")


if __name__ == "__main__":
    main()
