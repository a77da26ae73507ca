"""A guarded service behind each proxy."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.proxies.programs import PROXIES, Proxy
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
    # Keys as create_api_key prints them, by what they are for.
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
    """Latchkey, believing the proxies, with the service orders."""
    trusting = Latchkey(TRUSTED_PROXIES="127.0.0.1/32", AUTH_FAILURE_LIMIT="1000000/min")
    with running(trusting) as latchkey:
        rules = [word for rule in RULES for word in ("--rule", rule)]
        done = latchkey.manage("create_service", "orders", *rules)
        assert done.returncode == 0, done.stderr
        yield latchkey


@pytest.fixture(scope="session")
def keys(product: Latchkey) -> dict[str, Any]:
    reading = ("--permission", "orders:read")
    return {
        "reader": product.create_key(*reading, *LOTS),
        "writer": product.create_key(*reading, "--permission", "orders:write", *LOTS),
        "stranger": product.create_key("--permission", "logs:read", *LOTS),
        "spent": product.create_key(*reading, "--per-minute", "0"),
        "elsewhere": product.create_key(*reading, "--allow", "203.0.113.0/24", *LOTS),
    }


@pytest.fixture(scope="session", params=PROXIES)
def guarded(
    request: pytest.FixtureRequest, product: Latchkey, keys: dict[str, Any]
) -> Iterator[Guarded]:
    """The service behind each proxy."""
    with Application() as application, Line(product.port) as line:
        proxy = Proxy(request.param, product, latchkey=line.port, application=application.port)
        with running(proxy):
            yield Guarded(proxy, line, application, product, keys)
