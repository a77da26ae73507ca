"""The request log in ClickHouse: nothing is lost or doubled, and an outage is waited out.

The server is ClickHouse's engine behind a small HTTP server, ``tests/support/chdb_server.py``.
"""

import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import orjson
import pytest

from logs.capture.spool import Spool
from tests.support.clickhouse import ClickHouse
from tests.support.factories import record
from tests.support.load import Answer, Connection, at_once
from tests.support.product import LOTS, Latchkey, copy_prepared_folder
from tests.support.servers import running, wait_until
from tests.support.services import available

pytestmark = pytest.mark.clickhouse

KILLS = 20
CALLERS = 4
API = "/api/production/v1"


@pytest.fixture
def clickhouse() -> Iterator[ClickHouse]:
    """A server of its own, which acknowledges an insert some time after it was made."""
    server = available(ClickHouse)
    server.delay = 0.25
    with running(server):
        yield server


@pytest.fixture
def product(clickhouse: ClickHouse) -> Iterator[Latchkey]:
    """The product with its request log there."""
    settings = {"AUTH_FAILURE_LIMIT": "1000000/min", "LOG_STORE_URL": clickhouse.url}
    with running(Latchkey(**settings)) as latchkey:
        yield latchkey


def load(product: Latchkey, credential: str, meanwhile: Callable[[], None]) -> list[str]:
    """Send requests for as long as ``meanwhile`` runs; return the ids of what was answered."""
    stopping = threading.Event()

    def call(number: int) -> list[Answer]:
        answers: list[Answer] = []
        connection = Connection(product.url, credential)
        while not stopping.is_set():
            path = "/key" if len(answers) % 3 else "/nowhere"
            answers.append(connection.send("GET", API + path, None))
        connection.close()
        return answers

    def run() -> None:
        try:
            meanwhile()
        finally:
            stopping.set()

    answers = at_once(CALLERS, call, alongside=run)
    assert {answer.status for answer in answers} == {200, 404}
    return [answer.headers["x-request-id"] for answer in answers]


def has_table(clickhouse: ClickHouse) -> bool:
    return clickhouse.ask("EXISTS TABLE logs_requestlog") == [[1]]


def ids(clickhouse: ClickHouse) -> list[str]:
    """Return the ids of all rows, each as often as it was stored."""
    rows = clickhouse.ask("SELECT lower(hex(id)) FROM logs_requestlog")
    return [identifier for (identifier,) in rows]


def usage(product: Latchkey) -> int:
    with sqlite3.connect(product.folder / "latchkey.sqlite3") as file:
        (number,) = file.execute("SELECT sum(requests) FROM logs_hourlyusage").fetchone()
    return int(number or 0)


def check_all_is_stored_once(
    product: Latchkey, clickhouse: ClickHouse, answered: list[str]
) -> None:
    wanted = sorted(identifier.replace("-", "") for identifier in answered)
    with suppress(TimeoutError):
        wait_until(lambda: len(set(ids(clickhouse))) >= len(wanted))
        wait_until(lambda: usage(product) >= len(wanted))
    # Whoever stores one twice does it again within a second.
    time.sleep(1.5)

    stored = ids(clickhouse)
    lost, doubled = set(wanted) - set(stored), len(stored) - len(set(stored))
    assert (len(lost), doubled, usage(product)) == (0, 0, len(wanted))
    assert not (product.folder / "spool" / "rejected.txt").exists()


def test_nothing_is_lost_or_doubled_through_kill_9_of_the_worker(clickhouse: ClickHouse) -> None:
    product = Latchkey(LOG_STORE_URL=clickhouse.url)
    chance = random.Random(1)  # noqa: S311
    stopping, written = threading.Event(), list[str]()
    copy_prepared_folder(product.folder)
    spool = Spool(product.folder / "spool", 2**30)

    def write() -> None:
        while not stopping.wait(0.002):
            sent = record()
            spool.append(orjson.dumps(tuple(sent)))
            written.append(sent.id)

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with product.log.open("ab") as log:
            for turn in range(KILLS + 1):
                worker = product.start_command("worker", log=log)
                if turn == 0:
                    wait_until(lambda: has_table(clickhouse))
                    # Else rows that were stored twice would be made one.
                    clickhouse.run("SYSTEM STOP MERGES")
                wait_until(lambda: bool(product.processes("latchkey-worker")))
                if turn < KILLS:
                    time.sleep(chance.uniform(0.2, 2.2))
                    # The children first: their parent's death ends them as they like.
                    for pid in reversed(product.processes("")):
                        with suppress(ProcessLookupError):
                            os.kill(pid, signal.SIGKILL)
                    worker.wait(30)
        stopping.set()
        writer.join()

        assert len(written) > 5000
        check_all_is_stored_once(product, clickhouse, written)
    finally:
        stopping.set()
        product.remove()


def test_an_outage_is_waited_out(product: Latchkey, clickhouse: ClickHouse) -> None:
    credential = product.create_key(*LOTS)["key"]
    wait_until(lambda: has_table(clickhouse))

    def interrupt() -> None:
        for number in (signal.SIGKILL, signal.SIGTERM):
            time.sleep(1.5)
            clickhouse.stop(number)
            time.sleep(2)
            clickhouse.start()

    answered = load(product, credential, interrupt)

    check_all_is_stored_once(product, clickhouse, answered)
    assert "Traceback" not in product.log.read_text()


@pytest.mark.parametrize("how", ["stopped", "frozen"])
def test_without_the_server_the_log_says_so_and_keys_work(
    product: Latchkey, clickhouse: ClickHouse, how: str
) -> None:
    made = product.create_key("--permission", "logs:read", *LOTS)
    caller, visitor = product.caller(made["key"]), product.visitor()
    visitor.timeout = 60
    listing = "/admin/logs/requestlog/"
    wait_until(lambda: visitor.get(listing).status_code == 200)
    if how == "stopped":
        clickhouse.stop()
    else:
        clickhouse.freeze()

    began = time.monotonic()
    unavailable = caller.get(f"{API}/logs")
    waited = time.monotonic() - began
    admitted = caller.get(f"{API}/key")
    answers: dict[str, Any] = {}
    for name, path in {
        "log": listing,
        "key": f"/admin/apikeys/apikey/{made['id']}/change/?tab=requests",
        "front": "/admin/",
        "search": f"/admin/search/?part=1&q={made['id']}",
    }.items():
        answers[name] = visitor.get(path)

    assert (unavailable.status_code, unavailable.json()["code"]) == (503, "unavailable")
    assert waited < 3
    assert admitted.status_code == 200
    assert answers["log"].status_code == 503
    assert "The log store cannot be reached, and this page shows requests." in answers["log"].text
    assert "The log store cannot be reached." in answers["key"].text
    assert {answers[name].status_code for name in ("key", "front", "search")} == {200}
    assert made["id"] in answers["search"].text


def test_what_is_wrong_with_the_server_is_said_in_two_sentences(clickhouse: ClickHouse) -> None:
    said = {}
    with running(Latchkey()) as product:
        for name, url in {
            "password": clickhouse.url.replace("secret", "wrong"),
            "database": clickhouse.url.replace("/default", "/nowhere"),
            "port": clickhouse.url.replace(str(clickhouse.port), "9"),
            "tables": clickhouse.url,
        }.items():
            done = product.manage("export_logs", "--format", "csv", LOG_STORE_URL=url)
            assert done.returncode == 1
            said[name] = done.stderr.splitlines()[-1]

    for name, reason in {
        "password": "the server refuses the user or the password",
        "database": "the server does not have the database",
        "port": "it does not answer at 127.0.0.1:9",
        "tables": "its tables are not there until the worker has started",
    }.items():
        assert said[name].endswith(
            f"The log store cannot be used: {reason}. Check LOG_STORE_URL and the server."
        )


def test_the_days_that_rows_are_kept_follow_the_setting(
    product: Latchkey, clickhouse: ClickHouse
) -> None:
    def table() -> str:
        rows = clickhouse.ask("SHOW CREATE TABLE logs_requestlog")
        return str(rows[0][0])

    wait_until(lambda: has_table(clickhouse))
    assert "toIntervalDay(30)" in table()

    product.stop()
    product.environment["LOG_RETENTION_DAYS"] = "7"
    product.serve()

    wait_until(lambda: "toIntervalDay(7)" in table())
