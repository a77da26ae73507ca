"""A guarded service behind each proxy."""

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.proxies.programs import PROXIES, Proxy, block, shell
from tests.proxies.servers import Application, Line, Received
from tests.support.product import LOTS, Latchkey
from tests.support.servers import running

RULES = (
    "* /public/** public",
    "* /admin/** orders:admin",
    "GET,HEAD,OPTIONS /** orders:read",
    "* /** orders:write",
)


@dataclass
class Guarded:
    """A service behind a proxy, and what the tests do with it."""

    proxy: Proxy
    line: Line
    application: Application
    product: Latchkey
    keys: dict[str, Any]

    def client(self, credential: str = "", **options: Any) -> httpx.Client:
        headers = {"Authorization": f"Bearer {credential}"} if credential else {}
        return httpx.Client(base_url=self.proxy.url, headers=headers, timeout=40, **options)

    def send(
        self, method: str, path: str, credential: str = "", **options: Any
    ) -> tuple[httpx.Response, list[Received]]:
        """Send a request; return the answer, and what reached the application."""
        before = len(self.application.received)
        with self.client(credential) as client:
            response = client.request(method, path, **options)
        return response, self.application.received[before:]


@pytest.fixture(scope="session")
def product() -> Iterator[Latchkey]:
    """Latchkey, started as the guide says, with the guide's service."""
    (trusted,) = re.findall(r"TRUSTED_PROXIES=(\S+) make run", block("start"))
    options = {"TRUSTED_PROXIES": trusted, "AUTH_FAILURE_LIMIT": "1000000/min"}
    with running(Latchkey(**options)) as latchkey:
        yield latchkey


@pytest.fixture(scope="session")
def guide_key(product: Latchkey) -> str:
    """The key that the guide makes, with its service, which then gets the rules of the tests."""
    script = block("make") + 'echo "$KEY"'
    done = subprocess.run(**shell(script, product), capture_output=True, text=True, check=True)
    rules = [word for rule in RULES for word in ("--rule", rule)]
    changed = product.manage("update_service", "orders", *rules)
    assert changed.returncode == 0, changed.stderr
    return str(done.stdout.split()[-1])


@pytest.fixture(scope="session")
def keys(product: Latchkey, guide_key: str) -> dict[str, Any]:
    """Keys as create_api_key prints them, by what they are for."""
    reading = ("--permission", "orders:read")
    return {
        "guide": {"key": guide_key},
        "reader": product.create_key(*reading, *LOTS),
        "writer": product.create_key(*reading, "--permission", "orders:write", *LOTS),
        "stranger": product.create_key("--permission", "logs:read", *LOTS),
        "spent": product.create_key(*reading, "--per-minute", "0"),
        # Envoy names another address of this machine in place of a loopback one.
        "here": product.create_key(*reading, "--allow", "127.0.0.1/32", *LOTS),
        "anywhere": product.create_key(*reading, "--allow", "0.0.0.0/0", *LOTS),
        "elsewhere": product.create_key(*reading, "--allow", "203.0.113.0/24", *LOTS),
    }


@pytest.fixture(scope="session")
def many_customers(product: Latchkey, keys: dict[str, Any]) -> Any:
    """A key for 300 customers."""
    writer = product.create_key("--permission", "customers:write", *LOTS)
    with product.caller(writer["key"]) as api:
        path = "/api/production/v1/customers"
        made = [api.post(path, json={"name": f"Customer {n}"}).json()["id"] for n in range(300)]
    named = [word for customer in made for word in ("--customer", customer)]
    return product.create_key("--permission", "orders:read", *named, *LOTS)


@pytest.fixture(scope="session", params=PROXIES)
def guarded(
    request: pytest.FixtureRequest, product: Latchkey, keys: dict[str, Any]
) -> Iterator[Guarded]:
    """The service behind each proxy."""
    with Application() as application, Line(product.port) as line:
        proxy = Proxy(request.param, product, latchkey=line.port, application=application.port)
        with running(proxy):
            yield Guarded(proxy, line, application, product, keys)
