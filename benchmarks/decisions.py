"""What a decision for another service costs, beside the guarded view ``GET key``.

In-process through the WSGI application, and over HTTP: Granian with one process, loaded by wrk.
"""

import json
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any, NamedTuple, cast

os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
os.environ["TRUSTED_PROXIES"] = "127.0.0.0/8"

from config.wsgi import application

# isort: split
from django.core.management import call_command
from django.db import connection

from apikeys import lifecycle as keys
from apikeys.environments import Environment
from apikeys.limits import LIMIT_FIELDS, MAX_LIMIT, LimitFields
from audit.actors import Actor, Source
from benchmarks import better_auth
from config.server.environ import environ_of
from gateway import lifecycle
from tests.support.product import ROOT
from tests.support.servers import free_port, listens, wait_until

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "30"))
HTTP_ROUNDS = max(1, ROUNDS // 6)
SECONDS = int(os.environ.get("BENCH_SECONDS", "3"))
REQUESTS, WARM_UP = 100, 50
BASE = "/api/production/v1"
VIEW, FORWARD, VERIFY, INTROSPECT = "GET key", "forward auth", "verify", "introspect"


class Way(NamedTuple):
    """A request that is measured."""

    path: str
    headers: dict[str, str]
    body: str = ""

    @property
    def method(self) -> str:
        """Return POST with a body, GET without one."""
        return "POST" if self.body else "GET"

    def sender(self) -> Callable[[], None]:
        """Return a function that sends it through the WSGI application."""
        headers = {"Host": "localhost", **self.headers}
        scope = {
            "method": self.method,
            "raw_path": self.path.encode(),
            "query_string": b"",
            "http_version": "1.1",
            "scheme": "http",
            "server": ("localhost", "80"),
            "client": ("127.0.0.1", 50_000),
            "headers": [(name.lower().encode(), text.encode()) for name, text in headers.items()],
        }
        body = self.body.encode()
        environ = environ_of(scope, None, len(body), 0.0)
        if body:
            environ["CONTENT_LENGTH"] = str(len(body))
        statuses: list[str] = []

        def send() -> None:
            given = {**environ, "latchkey.arrived_at": monotonic(), "wsgi.input": BytesIO(body)}
            response: Any = application(given, lambda status, _: statuses.append(status))
            content = b"".join(response)
            if hasattr(response, "close"):
                response.close()
            if statuses.pop() != "200 OK":
                raise SystemExit(f"{self.path} answered {content!r}")

        return send

    def script(self) -> str:
        """Return it for wrk, in Lua."""
        lines = [f"wrk.method = {json.dumps(self.method)}", f"wrk.body = {json.dumps(self.body)}"]
        lines += [
            f"wrk.headers[{json.dumps(name)}] = {json.dumps(text)}"
            for name, text in self.headers.items()
        ]
        return "\n".join(lines if self.body else [lines[0], *lines[2:]])


class Load(NamedTuple):
    """What wrk measured: requests per second, and latencies in milliseconds."""

    rate: float
    p50: float
    p99: float


def issue(*permissions: str) -> str:
    """Make a key with limits that nothing reaches; return its credential."""
    return keys.create(
        environment=Environment.PRODUCTION,
        actor=Actor(Source.SYSTEM, "benchmark"),
        name="Bench",
        permissions=permissions,
        **cast(LimitFields, dict.fromkeys(LIMIT_FIELDS, MAX_LIMIT)),
    ).credential


def prepare() -> dict[str, Way]:
    """Make the service and keys; return what is measured."""
    call_command("migrate", verbosity=0)
    lifecycle.create("orders", actor=Actor(Source.SYSTEM, "benchmark"))
    presented = issue("orders:read")
    forwarded = {
        "X-Forwarded-Method": "GET",
        "X-Forwarded-Uri": "/v1/orders/42",
        "X-Forwarded-Host": "orders.example.com",
        "X-Forwarded-For": "198.51.100.7",
    }
    bearer = {"Authorization": f"Bearer {presented}"}
    asking = {"Authorization": f"Bearer {issue('keys:verify')}"}
    in_json = asking | {"Content-Type": "application/json"}
    in_a_form = asking | {"Content-Type": "application/x-www-form-urlencoded"}
    asked = {"key": presented, "service": "orders", "method": "GET", "path": "/v1/orders/42"}
    return {
        VIEW: Way(f"{BASE}/key", bearer),
        FORWARD: Way("/auth/production/orders", bearer | forwarded),
        VERIFY: Way(f"{BASE}/keys/verify", in_json, json.dumps(asked)),
        INTROSPECT: Way(f"{BASE}/introspect", in_a_form, f"token={presented}"),
    }


def in_process(ways: dict[str, Way]) -> dict[str, float]:
    """Return the median microseconds of each."""
    senders = {name: way.sender() for name, way in ways.items()}
    samples: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(ROUNDS):
        for name, send in senders.items():
            for _ in range(WARM_UP):
                send()
            began = time.perf_counter()
            for _ in range(REQUESTS):
                send()
            samples[name].append((time.perf_counter() - began) / REQUESTS * 1e6)
    return {name: statistics.median(values) for name, values in samples.items()}


def over_http(ways: dict[str, Way]) -> dict[str, Load]:
    """Return the medians of what eight connections get."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "config.server.granian"],
        cwd=ROOT,
        env=os.environ | {"PORT": str(port), "WEB_CONCURRENCY": "1"},
    )
    samples: dict[str, list[Load]] = {name: [] for name in ways}
    try:
        wait_until(lambda: listens(port))
        with TemporaryDirectory() as folder:
            for _ in range(HTTP_ROUNDS):
                for name, way in ways.items():
                    script = Path(folder) / "request.lua"
                    script.write_text(way.script())
                    samples[name].append(load(f"http://127.0.0.1:{port}{way.path}", script))
    finally:
        server.terminate()
        server.wait()
    return {
        name: Load(*map(statistics.median, zip(*loads, strict=True)))
        for name, loads in samples.items()
    }


def load(url: str, script: Path) -> Load:
    """Send as many as eight connections take."""
    command = ["wrk", "-t1", "-c8", f"-d{SECONDS}s", "--latency", "-s", str(script), url]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in told or "Socket errors" in told:
        raise SystemExit(told)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", told)
    latencies = dict(re.findall(r"(50|99)%\s+([\d.]+[mu]?s)", told))
    assert rate, told
    return Load(float(rate[1]), _milliseconds(latencies["50"]), _milliseconds(latencies["99"]))


def _milliseconds(text: str) -> float:
    number, unit = re.fullmatch(r"([\d.]+)([mu]?s)", text).groups()
    return float(number) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[unit]


def main() -> None:
    """Measure and print two tables."""
    ways = prepare()
    for name, microseconds in (inside := in_process(ways)).items():
        times = inside[VIEW] / microseconds
        print(f"{name:12} {1e6 / microseconds:7.0f} /s {microseconds:7.0f} us {times:5.1f} x")
    print("over HTTP, 8 connections")
    for name, found in (outside := over_http(ways)).items():
        times = found.rate / outside[VIEW].rate
        print(
            f"{name:12} {found.rate:7.0f} /s {times:13.1f} x"
            f"   p50 {found.p50:.2f} ms, p99 {found.p99:.2f} ms ({found.p99 / found.p50:.1f} x)"
        )
    if connection.vendor == "postgresql":
        if rates := better_auth.measure():
            print(
                "better-auth's verifyApiKey, in-process: {:.0f} /s, 8 at once {:.0f} /s".format(
                    *rates
                )
            )
        else:
            print("better-auth was not measured: it takes node, and npm with a registry")


if __name__ == "__main__":
    main()
