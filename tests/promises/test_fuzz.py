"""Promise 5: no 5xx, no page, and both storage pairs answer alike, whatever is sent."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress

import pytest

from tests.promises.test_request_log import recorded
from tests.support.fuzz import World, fuzz
from tests.support.fuzz_decisions import RULES, fuzz_decisions
from tests.support.product import Latchkey
from tests.support.proxy import TRUSTING
from tests.support.servers import Postgres, Redis, running, wait_until

pytestmark = pytest.mark.crash

REQUESTS = 600
SEEDS = (1, 3)
QUESTIONS = 1000


@pytest.fixture(scope="module")
def worlds(postgres: Postgres, redis: Redis) -> Iterator[list[World]]:
    """An installation on each storage pair."""
    lenient = {"AUTH_FAILURE_LIMIT": "1000000/min", **TRUSTING}
    with contextlib.ExitStack() as stack:
        products = [
            Latchkey(**lenient),
            Latchkey(database=postgres.new_database(), redis=redis.url, **lenient),
        ]
        started = [World(product) for product in products]
        for world in started:
            stack.enter_context(running(world.product))
            world.prepare()
            world.product.guard("orders", *RULES)
            world.product.guard("disabled", *RULES)
            assert world.product.manage("update_service", "disabled", "--disable").returncode == 0
        yield started


def test_hostile_requests_get_the_same_proper_answer_everywhere(worlds: list[World]) -> None:
    statuses: Counter[int] = Counter()
    for seed in SEEDS:
        statuses += fuzz(worlds, seed=seed, requests=REQUESTS)

    assert {200, 201, 204, 400, 401, 403, 404, 405, 406, 409, 415} <= set(statuses)
    assert all(len(world.keys) > 2 for world in worlds)


@pytest.mark.parametrize("seed", [1])
def test_hostile_questions_of_a_proxy_get_a_proper_answer_and_a_record(
    worlds: list[World], seed: int
) -> None:
    answers, ids = fuzz_decisions(worlds, seed=seed, requests=QUESTIONS)

    assert {
        "200", "ambiguous_path", "forwarded_incomplete", "environment_not_served", "key_invalid",
        "environment_mismatch", "unknown_service", "service_disabled", "no_rule", "key_missing",
        "permission_denied", "multiple_credentials", "not_found", "uri_too_long",
        "header_too_long",
    } <= set(answers)  # fmt: skip
    assert 0 < answers["unreadable"] < QUESTIONS / 5
    for world, seen in zip(worlds, ids, strict=True):
        wanted = {identifier.replace("-", "") for identifier in seen}
        with suppress(TimeoutError):
            wait_until(lambda: wanted <= set(recorded(world.product)), 20)  # noqa: B023
        log = recorded(world.product)
        assert [log[identifier] for identifier in wanted] == [1] * len(seen)
