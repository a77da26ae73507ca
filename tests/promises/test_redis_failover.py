"""A primary of Redis that dies under load: refused in time, and counted again by itself.

What it had admitted and not yet sent to its replica is forgotten: Redis replicates afterwards.
"""

import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import pytest

from apikeys.limits import MAX_LIMIT
from tests.promises.test_outages import ANSWER_SECONDS, PATH, RECOVERY_SECONDS
from tests.support.load import Answer, Connection, at_once
from tests.support.product import LOTS, Latchkey
from tests.support.redis_servers import RedisNodes
from tests.support.servers import Redis, running, wait_until

pytestmark = pytest.mark.crash

CALLERS = 12


def kill(server: Redis) -> Callable[[], None]:
    server.stop(signal.SIGKILL)
    return server.start


def freeze(server: Redis) -> Callable[[], None]:
    server.freeze()
    return server.thaw


class Figures(NamedTuple):
    """What callers met, each with a key of its own.

    Seconds of each round: from the harm until the last refusal, and of that what came after
    Redis had another primary. ``forgotten`` admissions were answered 200 and are not counted;
    ``unanswered`` ones were counted and answered 503.
    """

    statuses: set[int]
    admitted: int
    refused: int
    slowest: float
    outages: list[float]
    recoveries: list[float]
    forgotten: int
    unanswered: list[int]


class Harm(NamedTuple):
    """When a primary was harmed, and when there was another."""

    began: float
    replaced: float


def fail_over(
    product: Latchkey, servers: RedisNodes, harm: Callable[[Redis], Callable[[], None]], rounds: int
) -> Figures:
    """Harm a primary under load, wait until another is in its place, and heal it; repeat."""
    keys = [product.create_key(*LOTS)["key"] for _ in range(CALLERS)]
    by_key: list[list[Answer]] = [[] for _ in keys]
    harms: list[Harm] = []
    has_ended = threading.Event()

    def admitted(number: int) -> int:
        return sum(answer.status == 200 for answer in by_key[number])

    def call(number: int) -> list[Answer]:
        connection = Connection(product.url, keys[number])
        while not has_ended.is_set():
            by_key[number].append(connection.send("GET", PATH))
        connection.close()
        return by_key[number]

    def go_on() -> None:
        """Wait until every caller is admitted again."""
        before = [admitted(number) for number in range(CALLERS)]
        wait_until(lambda: all(admitted(n) > before[n] + 20 for n in range(CALLERS)))

    def harm_all() -> None:
        try:
            for _ in range(rounds):
                go_on()
                victim = servers.busiest()
                began = time.monotonic()
                heal = harm(victim)
                wait_until(partial(servers.has_replaced, victim))
                harms.append(Harm(began, time.monotonic()))
                go_on()
                heal()
                wait_until(servers.is_whole)
        finally:
            has_ended.set()

    answers = at_once(CALLERS, call, harm_all)
    forgotten, unanswered = 0, []
    with product.caller("") as api:
        for number, key in enumerate(keys):
            last = api.get(PATH, headers={"Authorization": f"Bearer {key}"})
            counted = MAX_LIMIT - last.json()["remaining"]["day"]
            missing = admitted(number) + 1 - counted
            forgotten += max(0, missing)
            unanswered.append(max(0, -missing))
    refusals = [answer for answer in answers if answer.status == 503]
    ends = [*(harm.began for harm in harms[1:]), float("inf")]
    last_refusals = [
        max(answer.ended for answer in refusals if harm.began <= answer.ended < end)
        for harm, end in zip(harms, ends, strict=True)
    ]
    return Figures(
        statuses={answer.status for answer in answers},
        admitted=sum(map(admitted, range(CALLERS))),
        refused=len(refusals),
        slowest=max(answer.ended - answer.began for answer in answers),
        outages=[last - harm.began for last, harm in zip(last_refusals, harms, strict=True)],
        recoveries=[last - harm.replaced for last, harm in zip(last_refusals, harms, strict=True)],
        forgotten=forgotten,
        unanswered=unanswered,
    )


@pytest.mark.parametrize("harm", [kill, freeze])
@pytest.mark.parametrize("form", ["redis_cluster", "redis_sentinel"])
def test_a_primary_that_dies_is_503_in_time_and_its_replica_counts_on(
    request: pytest.FixtureRequest, form: str, harm: Callable[[Redis], Callable[[], None]]
) -> None:
    servers = request.getfixturevalue(form)
    with running(Latchkey(redis=servers.url)) as product:
        figures = fail_over(product, servers, harm, rounds=1)
        assert "Traceback" not in product.log.read_text()

    assert figures.statuses == {200, 503}
    assert figures.slowest < ANSWER_SECONDS
    assert max(figures.recoveries) < RECOVERY_SECONDS
    # Each caller has one request under way when the primary dies: were a command sent again,
    # more could be counted.
    assert max(figures.unanswered) <= 1
