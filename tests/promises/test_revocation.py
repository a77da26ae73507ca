"""Promise 1: what was withdrawn is refused to every request that starts after the answer."""

import threading
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from tests.support.load import Answer, Connection, at_once
from tests.support.product import LOTS, Latchkey
from tests.support.proxy import TRUSTING, forwarded

# Not beside other tests: it takes all of both cores.
pytestmark = pytest.mark.crash

SETTINGS = {"WEB_CONCURRENCY": "4", "AUTH_FAILURE_LIMIT": "1000000/min", **TRUSTING}
CALLERS = 8
SECONDS_AFTER = 0.6


class Change(NamedTuple):
    """A change, and the status of a request that starts after it."""

    command: tuple[str, ...]
    path: str
    refused: int


KEY, CUSTOMERS = "/api/production/v1/key", "/api/production/v1/customers?limit=1"
DECISION = "/auth/production/shop"
CHANGES = {
    "revoke": Change(("revoke_api_key",), KEY, 401),
    "narrow a permission": Change(
        ("update_api_key", "--remove-permission", "customers:read"), CUSTOMERS, 403
    ),
    "lower a limit": Change(("update_api_key", "--per-minute", "0"), KEY, 429),
    "regenerate": Change(("regenerate_api_key",), KEY, 401),
    "revoke, for a service": Change(("revoke_api_key",), DECISION, 401),
    "narrow a permission, for a service": Change(
        ("update_api_key", "--remove-permission", "customers:read"), DECISION, 403
    ),
}


def wrongly_accepted(
    product: Latchkey, change: Change, *, seconds: float, urls: Sequence[str] = ()
) -> tuple[int, int]:
    """Load, change, go on; return how many started after the answer, and were accepted.

    With ``urls`` these are loaded instead of the product that changes.
    """
    urls = urls or [product.url]
    made = product.create_key("--permission", "customers:read", *LOTS)
    product.guard("shop", "GET /customers customers:read")
    stopping = threading.Event()
    answered_at: list[float] = []

    def call(number: int) -> list[Answer]:
        connection, answers = Connection(urls[number % len(urls)], made["key"]), []
        while not stopping.is_set():
            answers.append(connection.send("GET", change.path, **forwarded("/customers")))
        connection.close()
        return answers

    def act() -> None:
        time.sleep(0.2)
        name, *arguments = change.command
        done = product.manage(name, made["id"], *arguments)
        answered_at.append(time.monotonic())
        assert done.returncode == 0, done.stderr
        time.sleep(seconds)
        stopping.set()

    answers = at_once(CALLERS, call, alongside=act)
    statuses = {answer.status for answer in answers}
    # A busy machine may refuse a request for want of a connection; that accepts nothing.
    assert {200, change.refused} <= statuses <= {200, change.refused, 503}
    after = [answer for answer in answers if answer.began > answered_at[0]]
    return len(after), sum(answer.status == 200 for answer in after)


@pytest.mark.parametrize("change", CHANGES)
def test_nothing_is_accepted_that_started_after_the_answer(product: Any, change: str) -> None:
    started, accepted = wrongly_accepted(product, CHANGES[change], seconds=SECONDS_AFTER)

    assert started > 20
    assert accepted == 0
