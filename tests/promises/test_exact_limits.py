"""Promise 2: exactly the limit is admitted, whatever comes at once, to however many processes."""

import pytest

from tests.support.load import Answer, Connection, at_once
from tests.support.product import Latchkey

PATH = "/api/production/v1/key"
ROUNDS = 3
CALLERS = 25
REQUESTS = 20


def admitted(latchkey: Latchkey, limit: int) -> tuple[int, list[Answer]]:
    """Send 500 requests at once; return how many were admitted, and the refusals."""
    made = latchkey.create_key("--per-minute", str(limit), "--per-hour", "400")

    def call(_: int) -> list[Answer]:
        connection = Connection(latchkey.url, made["key"])
        answers = [connection.send("GET", PATH) for _ in range(REQUESTS)]
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
