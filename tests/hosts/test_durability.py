"""``LOG_DURABILITY=store``: what was answered is in PostgreSQL, whatever becomes of its host."""

import http.client
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import NamedTuple

import psycopg
import pytest

from tests.promises import test_outages, test_request_log
from tests.promises.test_request_log import recorded
from tests.support.hosts import LENIENT, Hosts, kill
from tests.support.load import Answer, Connection, at_once
from tests.support.product import LOTS, Latchkey
from tests.support.proxy import forwarded
from tests.support.servers import Postgres, Redis, running, wait_until
from tests.support.services import available

pytestmark = pytest.mark.crash

STORE = {"LOG_DURABILITY": "store"}
THREADS = 4
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
CUSTOMERS = "/api/production/v1/customers"
PATHS = (f"{CUSTOMERS}", "/auth/production/orders")
JSON = {"Content-Type": "application/json"}


class Loss(NamedTuple):
    """Requests answered by a host before it was lost for ever, a second, and not on record."""

    answered: int
    rate: float
    lost: int


def lose_host(hosts: Hosts, *, rate: int, seconds: float) -> Loss:
    """Load a host at a rate, kill it and delete its data folder."""
    credential = hosts.two.create_key("--permission", "customers:read", *LOTS)["key"]
    hosts.two.guard("orders", "GET /any/** any-key")
    callers = 8
    began = time.monotonic()

    def call(number: int) -> list[Answer]:
        answers: list[Answer] = []
        due_at = time.monotonic() + number / rate
        connection = Connection(hosts.two.url, credential)
        try:
            while True:
                time.sleep(max(0.0, due_at - time.monotonic()))
                due_at += callers / rate
                path = PATHS[len(answers) % len(PATHS)]
                answers.append(connection.send("GET", path, **forwarded("/any/x")))
        except (OSError, http.client.HTTPException):
            return answers

    def lose() -> None:
        nonlocal began
        began = time.monotonic()
        time.sleep(seconds)
        kill(hosts.two)
        shutil.rmtree(hosts.two.folder / "spool")

    answers = at_once(callers, call, alongside=lose)
    # A refusal has an id too, and is not on record.
    answers = [answer for answer in answers if answer.status == 200]
    ids = {answer.headers["x-request-id"].replace("-", "") for answer in answers}
    lost = ids - set(recorded(hosts.one))
    return Loss(len(answers), len(answers) / (answers[-1].ended - began), len(lost))


class Speed(NamedTuple):
    """Answers a second, and seconds within which half and 99 % of them come."""

    rate: float
    median: float
    late: float


def speed(latchkey: Latchkey, callers: int, seconds: float) -> Speed:
    """Have so many callers send as fast as they are answered."""
    credential = latchkey.create_key(*LOTS)["key"]
    ends_at = time.monotonic() + seconds

    def call(_: int) -> list[Answer]:
        connection, answers = Connection(latchkey.url, credential), []
        while time.monotonic() < ends_at:
            answers.append(connection.send("GET", "/api/production/v1/key"))
        connection.close()
        return answers

    answers = at_once(callers, call)
    assert {answer.status for answer in answers} == {200}
    times = sorted(answer.ended - answer.began for answer in answers)
    return Speed(len(times) / seconds, times[len(times) // 2], times[int(len(times) * 0.99)])


def test_a_host_that_never_comes_back_loses_nothing_that_it_answered() -> None:
    with Hosts(own={1: STORE}) as hosts:
        found = lose_host(hosts, rate=200, seconds=2)

    assert found.answered > 100
    assert found.lost == 0


@pytest.fixture(scope="module")
def stored() -> Iterator[tuple[Latchkey, Postgres]]:
    with ExitStack() as stack:
        postgres = stack.enter_context(running(available(Postgres)))
        redis = stack.enter_context(running(available(Redis)))
        product = Latchkey(
            database=postgres.url,
            redis=redis.url,
            WEB_THREADS=str(THREADS),
            WEB_CONCURRENCY="1",
            **STORE,
            **LENIENT,
        )
        yield stack.enter_context(running(product)), postgres


def customers(latchkey: Latchkey, credential: str, names: Sequence[str]) -> list[Answer]:
    """Create customers, each from a connection of its own, all at once."""

    def call(number: int) -> list[Answer]:
        connection = Connection(latchkey.url, credential)
        body = json.dumps({"name": names[number]}).encode()
        answer = connection.send("POST", CUSTOMERS, body, **JSON)
        connection.close()
        return [answer]

    return at_once(len(names), call)


def number_of(postgres: Postgres, name: str) -> int:
    return postgres.ask("SELECT name FROM customers_customer").count((name,))


def test_without_a_worker_requests_are_refused_before_they_have_an_effect(
    stored: tuple[Latchkey, Postgres],
) -> None:
    latchkey, postgres = stored
    credential = latchkey.create_key("--permission", "customers:write", *LOTS)["key"]
    workers = latchkey.processes("latchkey-worker")
    for pid in workers:
        os.kill(pid, signal.SIGSTOP)
    try:
        first = customers(latchkey, credential, ["First"] * 24)
        then = customers(latchkey, credential, ["Then"] * 24)
        is_ready = latchkey.is_ready()
    finally:
        for pid in workers:
            os.kill(pid, signal.SIGCONT)
    wait_until(latchkey.is_ready)
    again = customers(latchkey, credential, ["Again"])

    assert {answer.status for answer in first + then} == {503}
    # Those that had begun before anybody could know of it, one a thread.
    assert number_of(postgres, "First") <= THREADS * len(latchkey.processes("latchkey-web"))
    assert number_of(postgres, "Then") == 0
    assert not is_ready
    assert [answer.status for answer in again] == [201]


def test_a_worker_that_is_killed_costs_refusals_and_no_record(
    stored: tuple[Latchkey, Postgres],
) -> None:
    latchkey, _ = stored

    answered, lost, doubled = test_request_log.crash(latchkey, kills=2, unrecorded=503)

    assert answered > 100
    assert (lost, doubled) == (0, 0)


def test_the_database_down_is_503_and_comes_back(stored: tuple[Latchkey, Postgres]) -> None:
    latchkey, postgres = stored
    with latchkey.caller(latchkey.create_key()["key"]) as api:
        postgres.stop(signal.SIGKILL)
        try:
            found = test_outages.answers(api)
        finally:
            postgres.start()
        test_outages.recovers(api)

    assert {status for status, _ in found} == {503}
    assert max(seconds for _, seconds in found) < test_outages.ANSWER_SECONDS


def test_a_stop_answers_what_has_begun(stored: tuple[Latchkey, Postgres]) -> None:
    latchkey, postgres = stored
    granted = ("--permission", "customers:write", "--permission", "customers:read")
    credential = latchkey.create_key(*granted, *LOTS)["key"]
    (made,) = customers(latchkey, credential, ["Slow"])
    path = f"{CUSTOMERS}/{json.loads(made.body)['id']}"
    connection = Connection(latchkey.url, credential)
    with ThreadPoolExecutor() as pool, psycopg.connect(postgres.url) as holder:
        holder.execute("SELECT FROM customers_customer WHERE name = 'Slow' FOR UPDATE")
        answer = pool.submit(connection.send, "PATCH", path, b'{"name": "Changed"}', **JSON)
        wait_until(lambda: postgres.ask(WAITING) == [(1,)])
        stopped = pool.submit(latchkey.stop)
        # A worker that was told to stop at the same time would be gone by then.
        time.sleep(0.4)
        holder.commit()
        stopped.result()
    latchkey.serve()

    assert answer.result().status == 200
