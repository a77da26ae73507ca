"""What a guarded request of another service waits for the clients' question.

Granian with one process answers over loopback, as ``decisions`` loads it. Each client asks one
question after the other over the connection that it keeps: what is measured is what a request takes
longer, without the service's own server.
"""

import asyncio
import json
import logging
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.decisions import issue
from tests.support.product import ROOT
from tests.support.servers import free_port, listens, wait_until

# isort: split
from django.core.management import call_command

from audit.actors import Actor, Source
from gateway import lifecycle

sys.path.insert(0, str(ROOT / "clients" / "python" / "src"))

from latchkey_guard import Guard, asgi, wsgi

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "30"))
REQUESTS = int(os.environ.get("BENCH_REQUESTS", "100"))
WARM_UP = 50
TYPESCRIPT = ROOT / "clients" / "typescript"
SCRIPT = Path(__file__).with_suffix(".mjs")
PATH = "/v1/orders/42"


def time_each(ask: Callable[[], None]) -> list[float]:
    """Return the microseconds of each question."""
    for _ in range(WARM_UP):
        ask()
    times = []
    for _ in range(ROUNDS * REQUESTS):
        began = time.perf_counter()
        ask()
        times.append((time.perf_counter() - began) * 1e6)
    return times


def admitted(is_valid: bool) -> None:
    """End the run if a question was refused."""
    if not is_valid:
        raise SystemExit("A request was refused. Its reason is above.")


def verify(guard: Guard, presented: str) -> None:
    """Ask as a framework's own middleware would."""
    admitted(guard.verify(presented, service="orders", method="GET", path=PATH).valid)


def through_wsgi(guard: Guard, presented: str) -> Callable[[], None]:
    """Return a request through the WSGI middleware, to an application that answers at once."""

    def application(environ: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [])
        return [b""]

    guarded = wsgi.GuardMiddleware(application, guard, service="orders")
    environ = {
        "REQUEST_METHOD": "GET", "PATH_INFO": PATH, "SCRIPT_NAME": "", "REMOTE_ADDR": "127.0.0.1",
        "HTTP_AUTHORIZATION": f"Bearer {presented}",
    }  # fmt: skip
    statuses: list[str] = []

    def ask() -> None:
        guarded({**environ}, lambda status, *_: statuses.append(status))
        admitted(statuses.pop() == "200 OK")

    return ask


def through_asgi(guard: Guard, presented: str, loop: asyncio.AbstractEventLoop) -> Any:
    """Return a request through the ASGI middleware, to an application that answers at once."""
    statuses: list[int] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})

    async def send(message: Any) -> None:
        if "status" in message:
            statuses.append(message["status"])

    guarded = asgi.GuardMiddleware(application, guard, service="orders")
    scope = {
        "type": "http", "method": "GET", "path": PATH, "client": ("127.0.0.1", 50_000),
        "headers": [(b"authorization", f"Bearer {presented}".encode())],
    }  # fmt: skip

    def ask() -> None:
        loop.run_until_complete(guarded({**scope}, None, send))
        admitted(statuses.pop() == 200)

    return ask


def of_typescript(url: str, asking: str, presented: str) -> list[float] | None:
    """Return the microseconds of the TypeScript client; None without node, npm and a registry."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return None
    for command in (["npm", "ci", "--no-audit", "--fetch-retries=0"], ["npm", "run", "build"]):
        if subprocess.run(command, cwd=TYPESCRIPT, capture_output=True, check=False).returncode:
            return None
    environment = os.environ | {
        "CLIENT": str(TYPESCRIPT / "dist" / "index.js"), "LATCHKEY_URL": url, "ASKING": asking,
        "PRESENTED": presented, "ROUNDS": str(ROUNDS), "REQUESTS": str(REQUESTS),
    }  # fmt: skip
    done = subprocess.run(
        ["node", SCRIPT], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    times: list[float] = json.loads(done.stdout)
    return times


@contextmanager
def served() -> Iterator[str]:
    """Serve with one process; yield the address."""
    port = free_port()
    server = subprocess.Popen(
        [sys.executable, "-m", "config.server.granian"],
        cwd=ROOT,
        env=os.environ | {"PORT": str(port), "WEB_CONCURRENCY": "1"},
    )
    try:
        wait_until(lambda: listens(port))
        yield f"http://127.0.0.1:{port}"
    finally:
        server.terminate()
        server.wait()


def show(name: str, times: list[float]) -> None:
    """Print a row: the median, and what one in a hundred takes."""
    p99 = statistics.quantiles(times, n=100)[98]
    print(f"{name:24} {statistics.median(times) / 1e3:6.2f} ms   p99 {p99 / 1e3:6.2f} ms")


def main() -> None:
    """Measure each client in turn."""
    call_command("migrate", verbosity=0)
    lifecycle.create("orders", actor=Actor(Source.SYSTEM, "benchmark"))
    presented, asking = issue("orders:read"), issue("keys:verify")
    # It would write a line for each question.
    logging.getLogger("httpx").setLevel(logging.WARNING)
    with served() as url, asyncio.Runner() as runner:
        guard = Guard(url, environment="production", key=asking)
        loop = runner.get_loop()
        show("Python, verify", time_each(lambda: verify(guard, presented)))
        show("Python, WSGI middleware", time_each(through_wsgi(guard, presented)))
        show("Python, ASGI middleware", time_each(through_asgi(guard, presented, loop)))
        times = of_typescript(url, asking, presented)
        if times is None:
            print("TypeScript was not measured: it takes node, and npm with a registry")
        else:
            show("TypeScript, verify", times)
        guard.close()
        loop.run_until_complete(guard.aclose())


if __name__ == "__main__":
    main()
