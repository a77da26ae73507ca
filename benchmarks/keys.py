"""What authentication costs with a hundred keys stored and with a million."""

import os
import statistics
import sys
import time
from typing import Any, ClassVar

os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"

import django

django.setup()

from django.core.management import call_command
from django.db import connection
from django.http import HttpRequest

from apikeys import lifecycle
from apikeys.environments import Environment
from apikeys.guard.authentication import ApiKeyAuthentication
from apikeys.guard.context import RequestContext
from apikeys.guard.views import GuardedView
from audit.actors import Actor, Source

FEW, MANY = 100, int(os.environ.get("BENCH_KEYS", "1000000"))
SPREAD = min(3_000, MANY // 10)
ROUNDS, CALLS = int(os.environ.get("BENCH_ROUNDS", "30")) * 2, 100
NUMBERS = {
    "postgresql": "SELECT generate_series({first}, {last}) AS n",
    "sqlite": "WITH RECURSIVE series(n) AS (SELECT {first} UNION ALL SELECT n + 1 FROM series"
    " WHERE n < {last}) SELECT n FROM series",
}
PADDED = {"postgresql": "lpad({}::text, {}, '0')", "sqlite": "printf('%0{1}d', {0})"}
NOW = "'2026-01-01 00:00:00+00:00'"


def fill(first: int, last: int) -> None:
    """Store keys numbered ``first`` to ``last``, each with a secret."""
    numbers = NUMBERS[connection.vendor].format(first=first, last=last)
    padded = PADDED[connection.vendor]
    made_id = f"'k' || {padded.format('n', 11)}"
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO apikeys_apikey (id, name, environment, permissions, customer_scope,"  # noqa: S608
            " networks, last_used_agent, tags, owner, note, is_awaiting, created_at, revision)"
            f" SELECT {made_id}, 'Bench', 'production', 'customers:read', 'all', '', '',"
            f" '', '', '', FALSE, {NOW}, 1"
            f" FROM ({numbers}) AS numbers"
        )
        cursor.execute(
            "INSERT INTO apikeys_secretversion (key_id, number, digest, pepper, created_at)"  # noqa: S608
            f" SELECT {made_id}, 1, {padded.format('n', 64)}, 1, {NOW} FROM ({numbers}) AS numbers"
        )
        cursor.execute("ANALYZE")


def issue(number: int) -> list[str]:
    """Make keys that can be called with; return their credentials."""
    actor = Actor(Source.SYSTEM, "benchmark")
    return [
        lifecycle.create(environment=Environment.PRODUCTION, actor=actor, name="Bench").credential
        for _ in range(number)
    ]


def authentications(credentials: list[str]) -> float:
    """Return the median microseconds of authenticating, with every credential in turn."""
    requests = [Authenticated(credential) for credential in credentials]
    authenticator = ApiKeyAuthentication()
    samples = []
    for number in range(ROUNDS):
        chosen = [requests[(number * CALLS + i) % len(requests)] for i in range(CALLS)]
        started = time.perf_counter()
        for request in chosen:
            authenticator.authenticate(request)
        samples.append((time.perf_counter() - started) / CALLS * 1e6)
    return statistics.median(samples)


class Authenticated:
    """As much of a request as authentication looks at."""

    parser_context: ClassVar[dict[str, Any]] = {
        "kwargs": {"environment": "production"},
        "view": GuardedView,
    }

    def __init__(self, credential: str) -> None:
        self._request = HttpRequest()
        self._request.META = {"HTTP_AUTHORIZATION": f"Bearer {credential}"}
        self._request.context = RequestContext("")


def main() -> None:
    """Measure with few keys, fill up, and measure with many: the same keys, and any of them."""
    call_command("migrate", verbosity=0)
    first = issue(FEW)
    authentications(first)
    few = authentications(first)
    others = issue(SPREAD)
    fill(1, MANY - FEW - SPREAD)
    authentications(others)
    spread, same = authentications(others), authentications(first)
    sys.stdout.write(
        f"{FEW:,} keys stored: {few:.1f} us. {MANY:,} stored: {spread:.1f} us with any of them"
        f" ({spread / few - 1:+.0%}), {same:.1f} us with the same {FEW} ({same / few - 1:+.0%})\n"
    )


if __name__ == "__main__":
    main()
