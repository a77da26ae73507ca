"""A product with its demo data, and people who look at it."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.support.product import Latchkey
from tests.support.servers import running
from tests.support.visitor import LOOKS, Visitor


@pytest.fixture(scope="session")
def product() -> Iterator[Latchkey]:
    """The product on files, with its demo data."""
    jobs = {"JOB_TYPE_MODULES": "tests.support.job_types", "JOB_CONCURRENCY": "2"}
    with running(Latchkey(**jobs)) as started:
        yield started


@pytest.fixture(scope="session")
def session(browser: Browser, product: Latchkey) -> Any:
    """What a browser keeps of somebody who has logged in."""
    for look in LOOKS:
        person = Visitor(browser, product, *look)
        person.log_in()
        kept = person.context.storage_state()
        person.context.close()
        assert person.troubles == []
    return kept


@pytest.fixture(scope="session")
def people(browser: Browser, product: Latchkey) -> Iterator[dict[Any, Visitor]]:
    """Somebody at each screen, in one tab for all tests: Chromium takes a second to open one."""
    found = {look: Visitor(browser, product, *look) for look in LOOKS}
    yield found
    for person in found.values():
        person.context.close()


@pytest.fixture(params=LOOKS, ids=lambda look: f"{look[0]}-{look[1]}")
def visitor(
    request: pytest.FixtureRequest, people: dict[Any, Visitor], session: Any
) -> Iterator[Visitor]:
    """Somebody logged in, at each screen in turn."""
    person = people[request.param]
    person.begin(session)
    yield person
    assert person.troubles == []
