"""The services of docs/clients.md, each guarded by a Latchkey that runs."""

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.commands import ROOT
from tests.support.product import LOTS, Latchkey
from tests.support.servers import Server, listens, running, wait_until
from tests.support.services import program

PYTHON = ROOT / "clients" / "python"
TYPESCRIPT = ROOT / "clients" / "typescript"
SERVICES = ("fastapi", "flask", "django", "express", "hono")
RULES = ("GET /health public", "GET,HEAD /v1/** orders:read", "POST /v1/** orders:write")


class Service(Server):
    """A service as docs/clients.md shows it, on a port of its own."""

    def __init__(self, name: str, *, options: str = "", **variables: str) -> None:
        super().__init__()
        self.name = name
        self.url = f"http://127.0.0.1:{self.port}"
        self.variables = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(PYTHON / "src"),
            "PORT": str(self.port),
            **variables,
        }
        self.source = shown(name)
        if options:
            where = "key: LATCHKEY_KEY" if self.is_javascript else 'os.environ["LATCHKEY_KEY"]'
            self.source = self.source.replace(where, f"{where}, {options}")
        if self.is_javascript:
            # A package finds itself by its name from its own folder only.
            self.folder.rmdir()
            self.folder = Path(tempfile.mkdtemp(prefix="run-", dir=TYPESCRIPT / "tests"))

    @property
    def is_javascript(self) -> bool:
        """Whether Node.js runs it."""
        return self.name in {"express", "hono"}

    def command(self) -> list[str]:
        """Return the command that serves it, each as its framework's manual says."""
        port = str(self.port)
        match self.name:
            case "fastapi":
                return [sys.executable, "-m", "uvicorn", "service:app", "--port", port]
            case "flask":
                return [sys.executable, "-m", "flask", "--app", "service", "run", "--port", port]
            case "django":
                return [sys.executable, "service.py", "runserver", "--noreload", port]
            case _:
                return [program("Node.js"), "service.mjs"]

    def start(self) -> None:
        """Start it, and wait until it listens."""
        (self.folder / ("service.mjs" if self.is_javascript else "service.py")).write_text(
            self.source
        )
        with (self.folder / "log").open("wb") as log:
            self.process = subprocess.Popen(
                self.command(), cwd=self.folder, env=self.variables, stdout=log, stderr=log
            )
        wait_until(lambda: listens(self.port))

    def stop(self, signal_number: int = signal.SIGTERM) -> None:
        """Stop it with SIGTERM: frameworks that serve in the background ignore SIGINT."""
        super().stop(signal.SIGTERM)

    def log(self) -> str:
        """Return what it wrote."""
        return (self.folder / "log").read_text()


def shown(name: str) -> str:
    """Return the code of a service in the document."""
    text = (ROOT / "docs" / "clients.md").read_text()
    [code] = re.findall(rf"```(?:python|js) {name}\n(.*?)```", text, re.DOTALL)
    return str(code)


@pytest.fixture(scope="session")
def typescript() -> Path:
    """The TypeScript client, built with what its lock names."""
    for arguments in (["ci", "--no-audit", "--no-fund"], ["run", "build"]):
        subprocess.run([program("npm"), *arguments], cwd=TYPESCRIPT, check=True)
    return TYPESCRIPT


@pytest.fixture(scope="module")
def product() -> Iterator[Latchkey]:
    """A product with the rules of the services."""
    with running(Latchkey()) as latchkey:
        latchkey.guard("orders", *RULES)
        yield latchkey


@pytest.fixture(scope="module")
def serve(product: Latchkey) -> Callable[..., Any]:
    """Return what makes a service before the product; ``running`` starts it."""
    made = product.create_key("--permission", "keys:verify", *LOTS)

    def make(name: str, options: str = "", **variables: str) -> Service:
        where = {"LATCHKEY_URL": product.url, "LATCHKEY_KEY": made["key"]}
        return Service(name, options=options, **where | variables)

    return make


@pytest.fixture(scope="module", params=SERVICES)
def service(
    request: pytest.FixtureRequest, product: Latchkey, serve: Callable[..., Service]
) -> Iterator[Service]:
    """Each of the services."""
    if request.param in {"express", "hono"}:
        request.getfixturevalue("typescript")
    with running(serve(request.param)) as started:
        yield started


def call(service: Service, credential: str = "", method: str = "GET", **options: Any) -> Any:
    """Call the orders of a service."""
    headers = {"Authorization": f"Bearer {credential}"} if credential else {}
    headers |= options.pop("headers", {})
    path = options.pop("path", "/v1/orders")
    return httpx.request(method, service.url + path, headers=headers, timeout=10, **options)
