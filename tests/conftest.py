"""Fixtures that several files share, and the report of what could not run."""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings

from tests.latchkey import Latchkey
from tests.servers import Postgres, Redis, running
from tests.services import REMEDIES, available, missing


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL of its own."""
    with running(available(Postgres)) as started:
        yield started


@pytest.fixture(scope="session")
def redis() -> Iterator[Redis]:
    """A Redis of its own."""
    with running(available(Redis)) as started:
        yield started


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def latchkey(request: pytest.FixtureRequest) -> Iterator[Latchkey]:
    """The product running on each storage pair: files alone, and PostgreSQL with Redis."""
    where: dict[str, str] = {}
    if request.param == "postgres":
        where = {
            "database": request.getfixturevalue("postgres").new_database(),
            "redis": request.getfixturevalue("redis").url,
        }
    with running(Latchkey(**where)) as started:
        yield started


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
    for service, remedy in REMEDIES.items():
        if any(f"{service} is missing" in reason for reason in reasons):
            terminalreporter.write_line(
                f"{service} is missing, so its tests did not run. Install it with `{remedy}`."
            )
