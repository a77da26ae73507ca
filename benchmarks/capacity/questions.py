"""The requests whose costs are measured: of many keys in turn, as a script of wrk too."""

import json
import os

from django.core.management import call_command

from audit.actors import Actor, Source
from benchmarks.decisions import BASE, FORWARD, VERIFY, Way, issue
from customers.models import Customer
from gateway import lifecycle

KEYS = int(os.environ.get("BENCH_LOG_KEYS", "500"))
GUARDED = "GET customers/{id}"
SERVICE = "orders"


def prepare() -> dict[str, list[Way]]:
    """Make the service, customers and keys; return the requests of each kind."""
    call_command("migrate", verbosity=0)
    lifecycle.create(SERVICE, actor=Actor(Source.SYSTEM, "benchmark"))
    customers = Customer.objects.bulk_create(
        Customer(environment="production", name=f"Bench {number}") for number in range(KEYS)
    )
    credentials = [issue("orders:read", "customers:read") for _ in customers]
    asking = {"Authorization": f"Bearer {issue('keys:verify')}", "Content-Type": "application/json"}
    forwarded = {
        "X-Forwarded-Method": "GET",
        "X-Forwarded-Uri": "/v1/orders/42",
        "X-Forwarded-Host": "orders.example.com",
        "X-Forwarded-For": "198.51.100.7",
    }
    asked = {"service": SERVICE, "method": "GET", "path": "/v1/orders/42"}
    bearers = [{"Authorization": f"Bearer {credential}"} for credential in credentials]
    return {
        FORWARD: [Way(f"/auth/production/{SERVICE}", bearer | forwarded) for bearer in bearers],
        VERIFY: [
            Way(f"{BASE}/keys/verify", asking, json.dumps(asked | {"key": credential}))
            for credential in credentials
        ],
        GUARDED: [
            Way(f"{BASE}/customers/{customer.pk}", bearer)
            for customer, bearer in zip(customers, bearers, strict=True)
        ],
    }


def script(requests: list[Way]) -> str:
    """Return a script of wrk that sends the requests in turn."""
    lines = ["local made, n = {}, 0", "init = function()"]
    for asked in requests:
        headers = ", ".join(
            f"[{json.dumps(name)}] = {json.dumps(text)}" for name, text in asked.headers.items()
        )
        body = json.dumps(asked.body) if asked.body else "nil"
        lines.append(
            f"made[#made + 1] = wrk.format({json.dumps(asked.method)}, {json.dumps(asked.path)},"
            f" {{{headers}}}, {body})"
        )
    return "\n".join([*lines, "end", "request = function() n = n % #made + 1 return made[n] end"])
