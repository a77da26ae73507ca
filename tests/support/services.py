"""What tests need installed, and what happens where it is not."""

import os
import shutil
import sys
from pathlib import Path
from typing import NoReturn

import pytest

from tests.support.clickhouse import ClickHouse
from tests.support.redis_servers import RedisCluster, RedisSentinel
from tests.support.servers import Missing, Postgres, Redis, S, Server

# Set by .ci/run: what is missing there is a failure, never a skip.
REQUIRES_ALL = bool(os.environ.get("LATCHKEY_TESTS_REQUIRE_ALL"))
REMEDIES = {
    "PostgreSQL": "apt-get install postgresql",
    "Redis": "apt-get install redis-server",
    "nginx": "apt-get install nginx",
    "Chromium": "apt-get install chromium-headless-shell",
    "HAProxy": "apt-get install haproxy",
    "Apache": "apt-get install apache2 libapache2-mod-auth-openidc",
    "Traefik": "make test-proxies",
    "Caddy": "make test-proxies",
    "Envoy": "make test-proxies",
    "npm packages": "make test-schema",
    "Node.js": "apt-get install nodejs",
    "npm": "apt-get install npm",
    "Prometheus": "apt-get install prometheus",
    "promtool": "apt-get install prometheus",
    "systemd": "apt-get install systemd",
    "faketime": "apt-get install faketime",
    "ClickHouse": "make test-clickhouse",
}
NAMES: dict[type[Server], str] = {
    Postgres: "PostgreSQL",
    Redis: "Redis",
    RedisCluster: "Redis",
    RedisSentinel: "Redis",
    ClickHouse: "ClickHouse",
}
PROGRAMS = {
    "nginx": "nginx",
    # Debian's form of it without windows takes half the time; the whole one serves as well.
    "Chromium": "chromium-headless-shell chromium",
    "HAProxy": "haproxy",
    "Apache": "apache2",
    "Traefik": "traefik",
    "Caddy": "caddy",
    "Envoy": "envoy",
    "npm packages": "openapi-typescript",
    "Node.js": "node",
    "npm": "npm",
    "Prometheus": "prometheus",
    "promtool": "promtool",
    "systemd": "systemd-analyze",
    "faketime": "faketime",
}
NODE_MODULES = Path(__file__).parents[1] / "npm/node_modules"
# What PyPI installs beside this Python, what npm installed, and Debian's daemons.
PATH = f"{Path(sys.executable).parent}:{NODE_MODULES}/.bin:{os.environ['PATH']}:/usr/sbin"


def missing(service: str) -> NoReturn:
    """Skip the test for want of a service, or fail where all must run."""
    if REQUIRES_ALL:
        pytest.fail(f"{service} is missing")
    pytest.skip(f"{service} is missing")


def available(server: type[S]) -> S:
    """Return a server that can be started."""
    try:
        server.find()
    except Missing:
        missing(NAMES[server])
    return server()


def program(service: str) -> str:
    """Return the path of a service's program."""
    found = _find(service)
    if found is None:
        missing(service)
    return found


def is_installed(service: str) -> bool:
    """Say whether a service's tests can run."""
    for server, name in NAMES.items():
        if name == service:
            try:
                server.find()
            except Missing:
                return False
            return True
    return _find(service) is not None


def _find(service: str) -> str | None:
    for name in PROGRAMS[service].split():
        if found := shutil.which(name, path=PATH):
            return found
    return None
