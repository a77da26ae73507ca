"""Promise 3: what was answered is on record exactly once, whatever is killed under load."""

import http.client
import json
import os
import random
import shutil
import signal
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import psycopg
import pytest

from tests.support.load import Answer, Connection, at_once
from tests.support.product import LOTS, Latchkey
from tests.support.proxy import TRUSTING, forwarded
from tests.support.servers import Postgres, Redis, running, wait_until
from tests.support.services import available

pytestmark = pytest.mark.crash

LENIENT = {"AUTH_FAILURE_LIMIT": "1000000/min", **TRUSTING}
SETTINGS = {"WEB_CONCURRENCY": "4", **LENIENT}
CALLERS = 8
KILLS = 2
REMOVALS = 6
API, AUTH = "/api/production/v1", "/auth/production/orders"
PATHS = (
    f"{API}/key", f"{API}/customers", f"{AUTH}", f"{API}/nowhere", f"{API}/customers?limit=x",
    f"{AUTH}/nginx", f"{AUTH}/envoy/any/x", "/auth/production/nothing", f"{API}/keys/verify",
)  # fmt: skip
Harm = Callable[[Latchkey, random.Random], None]


def recorded(product: Latchkey) -> Counter[str]:
    """Return how often each request id is in the log."""
    url = product.environment["DATABASE_URL"]
    query = "SELECT id FROM logs_requestlog"
    if url:
        with psycopg.connect(url) as connection:
            return Counter(identifier.hex for (identifier,) in connection.execute(query))
    with sqlite3.connect(product.folder / "latchkey.sqlite3") as file:
        return Counter(identifier for (identifier,) in file.execute(query))


def kill_web_and_worker(product: Latchkey, chance: random.Random) -> None:
    web = product.processes("latchkey-web") + product.processes("latchkey-server")
    worker = product.processes("latchkey-worker")
    for pid in [*chance.sample(web, min(2, len(web))), *worker]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def crash(
    product: Latchkey,
    *,
    kills: int,
    seed: int = 1,
    harm: Harm = kill_web_and_worker,
    urls: Sequence[str] = (),
    unrecorded: int = 0,
) -> tuple[int, int, int]:
    """Load, and kill web and worker, or do other ``harm``, again and again.

    With ``urls`` these are loaded instead. Answers with the status ``unrecorded`` say that the log
    is away, and are left out. Returns how many answers came, how many of them are not on record,
    and how many are twice.
    """
    urls = urls or [product.url]
    chance = random.Random(seed)  # noqa: S311
    credential = product.create_key("--permission", "keys:verify", *LOTS)["key"]
    body = json.dumps({"key": credential}).encode()
    headers = forwarded("/any/x") | {"Content-Type": "application/json"}
    product.guard("orders", "GET /any/** any-key")
    stopping = threading.Event()

    def call(number: int) -> list[Answer]:
        answers: list[Answer] = []
        # Those with a wrong key are on record too.
        sent = credential if number % 4 else credential[:-1] + "x"
        url = urls[number % len(urls)]
        connection = Connection(url, sent)
        while not stopping.is_set():
            try:
                path = PATHS[len(answers) % len(PATHS)]
                method, sent_body = ("POST", body) if path.endswith("verify") else ("GET", None)
                answers.append(connection.send(method, path, sent_body, **headers))
            except (OSError, http.client.HTTPException):
                connection.close()
                connection = Connection(url, sent)
                time.sleep(0.02)
        connection.close()
        return answers

    def kill() -> None:
        for _ in range(kills):
            time.sleep(chance.uniform(0.3, 1.2))
            harm(product, chance)
            wait_until(product.is_ready)
        time.sleep(0.3)
        stopping.set()

    answers = at_once(CALLERS, call, alongside=kill)
    ids = [
        answer.headers["x-request-id"].replace("-", "")
        for answer in answers
        # nginx is told the status in a header.
        if int(answer.headers.get("x-latchkey-status", answer.status)) != unrecorded
    ]
    with suppress(TimeoutError):
        wait_until(lambda: not set(ids) - set(recorded(product)), 20)
    found = recorded(product)
    return len(ids), len(set(ids) - set(found)), sum(found[i] > 1 for i in ids)


def remove_spool(product: Latchkey, chance: random.Random) -> None:
    """Remove the folder, its files alone, or move it away, while records are written into it."""
    folder = product.folder / "spool"
    match chance.choice(["folder", "files", "moved"]):
        case "folder":
            # A folder that fills again while it is removed cannot be removed.
            shutil.rmtree(folder, ignore_errors=True)
        case "files":
            for path in folder.iterdir():
                path.unlink(missing_ok=True)
        case "moved":
            folder.rename(Path(mkdtemp(dir=product.folder)) / "spool")


def test_what_was_answered_is_recorded_once_while_the_spool_is_removed(new_product: Any) -> None:
    answered, lost, doubled = crash(new_product, kills=REMOVALS, harm=remove_spool)

    assert answered > 100
    assert (lost, doubled) == (0, 0)
    assert "removed" in new_product.log.read_text()


def test_what_was_answered_is_recorded_once_through_kill_9(new_product: Any) -> None:
    answered, lost, doubled = crash(new_product, kills=KILLS)

    assert answered > 100
    assert (lost, doubled) == (0, 0)


@pytest.mark.parametrize("how", ["killed", "frozen"])
def test_what_was_answered_is_recorded_once_through_outages_of_the_database(how: str) -> None:
    def interrupt(product: Latchkey, chance: random.Random) -> None:
        if how == "killed":
            postgres.stop(signal.SIGQUIT)
            time.sleep(chance.uniform(0.1, 1.5))
            postgres.start()
        else:
            postgres.freeze()
            time.sleep(chance.uniform(0.5, 2.5))
            postgres.thaw()

    with running(available(Postgres)) as postgres, running(available(Redis)) as redis:
        product = Latchkey(database=postgres.url, redis=redis.url, **LENIENT)
        with running(product):
            answered, lost, doubled = crash(product, kills=KILLS, harm=interrupt)

            rejected = product.folder / "spool" / "rejected.txt"
            assert answered > 100
            assert (lost, doubled) == (0, 0)
            assert not rejected.exists()
