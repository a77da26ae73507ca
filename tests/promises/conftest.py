"""The product, as each file of promises wants it: its ``SETTINGS``."""

from collections.abc import Iterator

import pytest

from tests.support.product import PAIRS, Latchkey, running_on


@pytest.fixture(scope="module", params=PAIRS)
def product(request: pytest.FixtureRequest) -> Iterator[Latchkey]:
    """The product on each storage pair, the same for a file's tests."""
    with running_on(request.param, **request.module.SETTINGS) as latchkey:
        yield latchkey


@pytest.fixture(params=PAIRS)
def new_product(request: pytest.FixtureRequest) -> Iterator[Latchkey]:
    """The product on each storage pair, a new one for each test."""
    with running_on(request.param, **request.module.SETTINGS) as latchkey:
        yield latchkey
