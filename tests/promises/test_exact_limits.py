"""Promise 2: exactly the limit is admitted, whatever comes at once, to however many processes."""

from collections.abc import Sequence
from typing import NamedTuple

import pytest

from tests.support.load import Answer, Connection, at_once
from tests.support.product import Latchkey
from tests.support.proxy import forwarded


class Asked(NamedTuple):
    """Where is asked, with which headers, and what an answer costs."""

    path: str
    headers: dict[str, str]
    cost: int = 1


KEY = Asked("/api/production/v1/key", {})
RULES = ("GET /any/** any-key", "GET /dear/** any-key cost=5")
DECISION = Asked("/auth/production/exact", forwarded("/any/x"))
DEAR = Asked("/auth/production/exact/envoy/dear/x", forwarded("/dear/x"), cost=5)
ROUNDS = 3
CALLERS = 25
REQUESTS = 20


def admitted(
    latchkey: Latchkey, limit: int, asked: Asked = KEY, urls: Sequence[str] = ()
) -> tuple[int, list[Answer]]:
    """Send 500 requests at once; return how many were admitted, and the refusals."""
    urls = urls or [latchkey.url]
    made = latchkey.create_key("--per-minute", str(limit), "--per-hour", "400")

    def call(number: int) -> list[Answer]:
        connection = Connection(urls[number % len(urls)], made["key"])
        answers = [connection.send("GET", asked.path, **asked.headers) for _ in range(REQUESTS)]
        connection.close()
        return answers

    answers = at_once(CALLERS, call)
    assert len(answers) == CALLERS * REQUESTS
    assert {answer.status for answer in answers} == {200, 429}
    return (
        sum(answer.status == 200 for answer in answers),
        [answer for answer in answers if answer.status == 429],
    )


@pytest.mark.parametrize("limit", [7, 60, 61, 250, 450])
def test_of_five_hundred_at_once_exactly_the_limit_passes(latchkey: Latchkey, limit: int) -> None:
    passed, refused = admitted(latchkey, limit)

    assert passed == min(limit, 400)
    for answer in refused:
        assert int(answer.headers["retry-after"]) >= 1
        assert "r=0" in answer.headers["ratelimit"]


@pytest.mark.parametrize("asked", [DECISION, DEAR])
@pytest.mark.parametrize("limit", [7, 61, 450])
def test_of_five_hundred_decisions_at_once_exactly_the_limit_passes(
    latchkey: Latchkey, limit: int, asked: Asked
) -> None:
    latchkey.guard("exact", *RULES)

    passed, refused = admitted(latchkey, limit, asked)

    assert passed == min(limit, 400) // asked.cost
    for answer in refused:
        assert int(answer.headers["retry-after"]) >= 1
        assert answer.headers["x-latchkey-key-id"] == ""
