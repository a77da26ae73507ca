"""Fixtures that several files share, and the report of what could not run."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings

from tests.servers import Missing, Postgres, Redis, Server, running

# Set by .ci/run: what is missing there is a failure, never a skip.
REQUIRES_ALL = bool(os.environ.get("LATCHKEY_TESTS_REQUIRE_ALL"))
SERVICES = {
    "PostgreSQL": "apt-get install postgresql",
    "Redis": "apt-get install redis-server",
    "nginx": "apt-get install nginx",
    "Chromium": "apt-get install chromium",
}
_missing: set[str] = set()


def missing(service: str) -> None:
    """Skip the test for want of a service, or fail where all must run."""
    _missing.add(service)
    if REQUIRES_ALL:
        pytest.fail(f"{service} is missing")
    pytest.skip(f"{service} is missing")


def start(service: str, server: type[Server]) -> Iterator[Any]:
    """Run a server for the session."""
    try:
        server.find()
    except Missing:
        missing(service)
    with running(server()) as started:
        yield started


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of its own."""
    yield from start("PostgreSQL", Postgres)


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    """A Redis of its own."""
    yield from start("Redis", Redis)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Debian's Chromium."""
    found = shutil.which("chromium")
    if found is None:
        missing("Chromium")
    return str(found)


@pytest.fixture(scope="session")
def nginx() -> str:
    """The path of nginx."""
    found = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if found is None:
        missing("nginx")
    return str(found)


@pytest.fixture
def is_postgresql() -> bool:
    """Whether the suite's own database is PostgreSQL."""
    return "postgresql" in settings.DATABASES["default"]["ENGINE"]


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Close with a line for each service that was missing."""
    skipped = terminalreporter.stats.get("skipped", [])
    reasons = {str(report.longrepr[2]) for report in skipped if isinstance(report.longrepr, tuple)}
    for service, remedy in SERVICES.items():
        if any(f"{service} is missing" in reason for reason in reasons):
            terminalreporter.write_line(
                f"{service} is missing, so its tests did not run. Install it with `{remedy}`."
            )
