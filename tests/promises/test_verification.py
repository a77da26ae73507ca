"""Verify and introspect keep the promises of the API, on both storage pairs."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.promises.test_outages import ANSWER_SECONDS, freeze, stop
from tests.support.product import Latchkey
from tests.support.servers import Postgres, Redis, running, wait_until
from tests.support.services import available

HTTP = httpx.Client(timeout=10, limits=httpx.Limits(max_keepalive_connections=0))
ASKED = 60


class Asker:
    """A service that asks about the keys that it is sent."""

    def __init__(self, product: Latchkey) -> None:
        self.base = f"{product.url}/api/production/v1"
        self.made = product.create_key("--permission", "keys:verify")
        self.headers = {"Authorization": f"Bearer {self.made['key']}"}

    def verify(self, credential: str, **fields: Any) -> httpx.Response:
        """Verify, on a connection of its own, so that any of the processes may answer."""
        body = {"key": credential, **fields}
        return HTTP.post(f"{self.base}/keys/verify", json=body, headers=self.headers)

    def introspect(self, credential: str) -> httpx.Response:
        """Introspect, with the key as the password of HTTP Basic."""
        form = {"token": credential}
        return HTTP.post(f"{self.base}/introspect", data=form, auth=("any", self.made["key"]))


def test_a_revoke_binds_on_the_next_answer_of_every_process(latchkey: Latchkey) -> None:
    asker, made = Asker(latchkey), latchkey.create_key()

    def seen() -> set[tuple[str, bool]]:
        return {
            (
                asker.verify(made["key"]).json()["code"],
                asker.introspect(made["key"]).json()["active"],
            )
            for _ in range(10)
        }

    before = seen()
    latchkey.manage("revoke_api_key", made["id"])
    after = seen()

    assert (before, after) == ({("valid", True)}, {("key_revoked", False)})


def test_of_many_at_once_as_many_are_valid_as_the_limit_allows(latchkey: Latchkey) -> None:
    asker, made = Asker(latchkey), latchkey.create_key("--per-minute", "7")

    with ThreadPoolExecutor(8) as pool:
        told = [answer.json()["code"] for answer in pool.map(asker.verify, [made["key"]] * 20)]

    assert sorted(told) == ["rate_limited"] * 13 + ["valid"] * 7


def test_each_answer_is_on_record_once_with_who_asked(latchkey: Latchkey) -> None:
    asker, made = Asker(latchkey), latchkey.create_key()
    ask = [asker.verify, asker.introspect]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda number: ask[number % 2](made["key"]), range(ASKED)))
    ids = {answer.headers["X-Request-ID"] for answer in answers}

    def records() -> list[Any]:
        done = latchkey.manage("export_logs", "--format", "ndjson", "--key", made["id"])
        return [json.loads(line) for line in done.stdout.splitlines()]

    wait_until(lambda: len(records()) >= ASKED, seconds=20)
    found = records()
    assert len(found) == ASKED
    assert {record["id"] for record in found} == ids
    assert {(record["kind"], record["caller_id"]) for record in found} == {
        ("decision", asker.made["id"])
    }


@pytest.fixture(scope="module")
def scaled() -> Iterator[tuple[Asker, str, Postgres, Redis]]:
    """An asker, and the PostgreSQL and the Redis of its product, which a test may stop."""
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(running(available(Postgres)))
        redis = stack.enter_context(running(available(Redis)))
        product = stack.enter_context(running(Latchkey(database=postgres.url, redis=redis.url)))
        yield Asker(product), product.create_key()["key"], postgres, redis


@pytest.mark.crash
@pytest.mark.parametrize("how", [stop, freeze])
@pytest.mark.parametrize("which", ["postgres", "redis"])
def test_a_server_down_is_503_within_two_seconds(
    scaled: tuple[Asker, str, Postgres, Redis], which: str, how: Callable[..., Any]
) -> None:
    asker, credential, postgres, redis = scaled
    wait_until(lambda: asker.verify(credential).status_code == 200, seconds=20)

    def send(number: int) -> tuple[int, str, float]:
        began = time.monotonic()
        answer = asker.introspect(credential) if number % 2 else asker.verify(credential)
        assert int(answer.headers["Retry-After"]) > 0
        return answer.status_code, answer.json()["code"], time.monotonic() - began

    bring_back = how(postgres if which == "postgres" else redis)
    try:
        with ThreadPoolExecutor(16) as pool:
            found = list(pool.map(send, range(32)))
    finally:
        bring_back()

    assert {told[:2] for told in found} == {(503, "unavailable")}
    assert max(seconds for *_, seconds in found) < ANSWER_SECONDS
    wait_until(lambda: asker.verify(credential).status_code == 200, seconds=20)
