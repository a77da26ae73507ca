"""What tests need installed, and what happens where it is not."""

import os
from typing import NoReturn

import pytest

from tests.servers import Missing, Postgres, Redis, S, Server

# Set by .ci/run: what is missing there is a failure, never a skip.
REQUIRES_ALL = bool(os.environ.get("LATCHKEY_TESTS_REQUIRE_ALL"))
REMEDIES = {
    "PostgreSQL": "apt-get install postgresql",
    "Redis": "apt-get install redis-server",
    "nginx": "apt-get install nginx",
    "Chromium": "apt-get install chromium",
}
NAMES: dict[type[Server], str] = {Postgres: "PostgreSQL", Redis: "Redis"}


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
