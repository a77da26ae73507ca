"""Promise 5: no 5xx, no page, and both storage pairs answer alike, whatever is sent."""

import contextlib

import pytest

from tests.support.fuzz import World, fuzz
from tests.support.product import Latchkey
from tests.support.servers import Postgres, Redis, running

pytestmark = pytest.mark.crash

REQUESTS = 500


@pytest.mark.parametrize("seed", [1])
def test_hostile_requests_get_the_same_proper_answer_everywhere(
    postgres: Postgres, redis: Redis, seed: int
) -> None:
    lenient = {"AUTH_FAILURE_LIMIT": "1000000/min"}
    with contextlib.ExitStack() as stack:
        products = [
            Latchkey(**lenient),
            Latchkey(database=postgres.new_database(), redis=redis.url, **lenient),
        ]
        worlds = [World(product) for product in products]
        for world in worlds:
            stack.enter_context(running(world.product))
            world.prepare()

        statuses = fuzz(worlds, seed=seed, requests=REQUESTS)

    assert {200, 201, 204, 400, 401, 403, 404, 405, 406, 409, 415} <= set(statuses)
