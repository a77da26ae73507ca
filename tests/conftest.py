"""Fixtures that several files share, and the report of what could not run."""

import time
from collections.abc import Iterator
from typing import Any

import hypothesis
import pytest
from django.conf import settings
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest
from django.test import Client
from django.utils.module_loading import import_string
from playwright.sync_api import Browser, sync_playwright

from backoffice.proofs import PROVED_AT
from logs.stores import log_store
from tests.support.command_line import run  # noqa: F401 - a fixture
from tests.support.factories import client_of
from tests.support.product import Latchkey
from tests.support.proxy import TRUSTING
from tests.support.redis_servers import RedisCluster, RedisSentinel
from tests.support.servers import Postgres, Redis, running
from tests.support.services import REMEDIES, available, is_installed, program
from tests.support.visitor import ARGUMENTS

# A quarter of what a start costs otherwise; test_serving.py has one that is the product's own.
Latchkey.is_forked = True

# How fast examples are made and run says how busy the machine is, and nothing of the product.
hypothesis.settings.register_profile(
    "latchkey", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("latchkey")


@pytest.fixture
def staff() -> Client:
    """The browser of an administrator of keys."""
    return client_of("Key administrator")


def prove(request: HttpRequest, **_: object) -> None:
    """Have whom a test signs in by force prove who they are, as everybody does who signs in."""
    request.session[PROVED_AT] = time.time()


user_logged_in.connect(prove, dispatch_uid="tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let what tests the database reach the log store as well, where it has a server."""
    if not settings.LOG_STORE_URL:
        return
    for item in items:
        mark = item.get_closest_marker("django_db")
        if mark is not None:
            options = {**mark.kwargs, "databases": "__all__"}
            item.add_marker(pytest.mark.django_db(**options), append=False)


@pytest.fixture(scope="session", autouse=True)
def _log_store(django_db_blocker: Any) -> None:
    """Have the log store ready, where it has a server."""
    if settings.LOG_STORE_URL:
        with django_db_blocker.unblock():
            log_store().prepare()


@pytest.fixture(autouse=True)
def _empty_log_store(django_db_blocker: Any) -> Iterator[None]:
    """Leave nothing to the next test: a rollback does not reach that server."""
    yield
    if settings.LOG_STORE_URL:
        with django_db_blocker.unblock():
            import_string("tests.support.log_rows.empty")()


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


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisCluster]:
    """A Redis Cluster of its own."""
    with running(available(RedisCluster)) as started:
        yield started


@pytest.fixture(scope="session")
def redis_sentinel() -> Iterator[RedisSentinel]:
    """A primary and a replica of its own, and their sentinels."""
    with running(available(RedisSentinel)) as started:
        yield started


@pytest.fixture(scope="session", params=["sqlite", "postgres"])
def latchkey(request: pytest.FixtureRequest) -> Iterator[Latchkey]:
    """The product on each storage pair, files or PostgreSQL with Redis, behind a trusted proxy."""
    where: dict[str, str] = {}
    if request.param == "postgres":
        where = {
            "database": request.getfixturevalue("postgres").new_database(),
            "redis": request.getfixturevalue("redis").url,
        }
    with running(Latchkey(**where, **TRUSTING)) as started:
        yield started


@pytest.fixture(scope="session")
def chromium() -> str:
    """The path of Debian's Chromium."""
    return program("Chromium")


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    """A headless browser; Playwright allows a process one."""
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def nginx() -> str:
    """The path of nginx."""
    return program("nginx")


@pytest.fixture
def is_postgresql() -> bool:
    """Whether the suite's own database is PostgreSQL."""
    return "postgresql" in settings.DATABASES["default"]["ENGINE"]


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Close with a line for each service that is missing."""
    if hasattr(config, "workerinput"):
        return
    for service, remedy in REMEDIES.items():
        if not is_installed(service):
            terminalreporter.write_line(
                f"{service} is missing, so its tests did not run. Install it with `{remedy}`."
            )
