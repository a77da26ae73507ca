"""Promise 8: writers, worker, pruning and backup share one SQLite file, and none is locked out."""

import json
import sqlite3
import threading
import time

import pytest

from tests.latchkey import Latchkey
from tests.load import Answer, Connection, at_once
from tests.servers import running

pytestmark = pytest.mark.crash

CALLERS = 8
SECONDS = 4.0
LOTS = ("--per-minute", "1000000", "--per-hour", "1000000", "--per-day", "1000000")
JSON = {"Content-Type": "application/json"}


def contend(product: Latchkey, *, seconds: float) -> tuple[list[Answer], int]:
    """Read and write while logs are pruned and the file is backed up.

    Returns the answers, and how many lines of the server's own log say that it was locked.
    """
    made = product.create_key(
        "--permission", "customers:read", "--permission", "customers:write", *LOTS
    )
    stopping = threading.Event()

    def call(number: int) -> list[Answer]:
        connection = Connection(product.url, made["key"])
        answers: list[Answer] = []
        path = "/api/production/v1/customers"
        while not stopping.is_set():
            body = json.dumps({"name": f"{number}-{len(answers)}"}).encode()
            answers.append(connection.send("POST", path, body, **JSON))
            answers.append(connection.send("GET", f"{path}?limit=5"))
        connection.close()
        return answers

    def meanwhile() -> None:
        ends_at = time.monotonic() + seconds
        while time.monotonic() < ends_at:
            pruned = product.manage("prune_logs", "--older-than", "1s")
            assert (pruned.returncode, pruned.stderr) == (0, "")
            with (
                sqlite3.connect(product.folder / "latchkey.sqlite3") as source,
                sqlite3.connect(product.folder / "copy.sqlite3") as copy,
            ):
                source.backup(copy)
        stopping.set()

    answers = at_once(CALLERS, call, alongside=meanwhile)
    return answers, product.log.read_text().count("locked")


def test_nobody_is_locked_out_of_the_sqlite_file() -> None:
    with running(Latchkey()) as product:
        answers, locked = contend(product, seconds=SECONDS)

    assert len(answers) > 100
    assert {answer.status for answer in answers} == {200, 201}
    assert locked == 0
