"""What the guard with its complete request log costs, beside the same views without it.

Run by ``make bench`` once for each storage pair, in a data folder and on servers of its own.
The variants take turns within one run and the median of the rounds counts, so that whatever
else the machine does falls on all alike.
"""

import os
import statistics
import sys
import time
from collections.abc import Callable
from io import BytesIO
from typing import Any, NamedTuple, cast

os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"

from config.wsgi import application

# isort: split
from django.core.management import call_command
from rest_framework_api_key.models import APIKey

from apikeys import lifecycle
from apikeys.environments import Environment
from apikeys.limits import LIMIT_FIELDS, MAX_LIMIT, LimitFields
from apikeys.permissions import Permission
from audit.actors import Actor, Source
from customers.models import Customer

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "30"))
REQUESTS = 100
WARM_UP = 50
LISTED = 200


class Variant(NamedTuple):
    """A way to the view."""

    path: str
    credential: str = ""
    header: str = "HTTP_AUTHORIZATION"
    query: str = ""
    compared_with: str = "unguarded"

    def sender(self) -> Callable[[], None]:
        """Return a function that sends one request through the WSGI application."""
        environ: dict[str, Any] = {
            "REQUEST_METHOD": "GET",
            "SCRIPT_NAME": "",
            "PATH_INFO": self.path,
            "QUERY_STRING": self.query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": "localhost",
            "HTTP_ACCEPT": "*/*",
            self.header: self.credential,
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(),
            "wsgi.errors": sys.stderr,
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
            "wsgi.version": (1, 0),
        }
        statuses: list[str] = []

        def send() -> None:
            response = application(dict(environ), lambda status, _: statuses.append(status))
            body = b"".join(response)
            response.close()
            if statuses.pop() != "200 OK":
                raise SystemExit(f"{self.path} answered {body!r}")

        return send


def prepare() -> dict[str, Variant]:
    """Make a customer and a key for each stack; return the ways to the view."""
    call_command("migrate", verbosity=0)
    customers = [Customer(environment="production", name=f"Bench {n}") for n in range(LISTED)]
    customer = Customer.objects.bulk_create(customers)[0]
    issued = lifecycle.create(
        environment=Environment.PRODUCTION,
        actor=Actor(Source.SYSTEM, "benchmark"),
        name="Bench",
        permissions=[Permission.CUSTOMERS_READ],
        **cast(LimitFields, dict.fromkeys(LIMIT_FIELDS, MAX_LIMIT)),
    )
    _, peer_key = APIKey.objects.create_key(name="bench")
    v1 = "/api/production/v1"
    bench = "production/v1/bench"
    ninja = f"/other/ninja/production/customers/{customer.pk}"
    own = f"Bearer {issued.credential}"
    peer = f"Api-Key {peer_key}"
    listed = f"limit={LISTED}"
    plain_list = "unguarded list"
    return {
        "unguarded": Variant(f"/other/{bench}/unguarded/{customer.pk}"),
        "guarded": Variant(f"/api/{bench}/guarded/{customer.pk}", own),
        "peer": Variant(f"/other/{bench}/peer/{customer.pk}", peer),
        "peer, logged": Variant(f"/other/{bench}/tracked/{customer.pk}", peer),
        "django-ninja": Variant(ninja, peer_key, header="HTTP_X_API_KEY"),
        "GET customer": Variant(f"{v1}/customers/{customer.pk}", own),
        "GET key": Variant(f"{v1}/key", own),
        plain_list: Variant(f"/other/{bench}/list", query=listed, compared_with=plain_list),
        "GET customers": Variant(f"{v1}/customers", own, query=listed, compared_with=plain_list),
    }


def measure(variants: dict[str, Variant]) -> dict[str, float]:
    """Return the median microseconds a request of each variant takes."""
    senders = {name: variant.sender() for name, variant in variants.items()}
    samples: dict[str, list[float]] = {name: [] for name in senders}
    for _ in range(ROUNDS):
        for name, send in senders.items():
            # The interpreter adapts to what runs: each variant gets to its own pace first.
            for _ in range(WARM_UP):
                send()
            started = time.perf_counter()
            for _ in range(REQUESTS):
                send()
            samples[name].append((time.perf_counter() - started) / REQUESTS * 1e6)
    return {name: statistics.median(values) for name, values in samples.items()}


def main() -> None:
    """Measure and print a table."""
    variants = prepare()
    figures = measure(variants)
    for name, microseconds in figures.items():
        times = figures[variants[name].compared_with] / microseconds
        print(f"{name:14} {1e6 / microseconds:7.0f} /s {microseconds:7.0f} us {times:5.2f} x")


if __name__ == "__main__":
    main()
