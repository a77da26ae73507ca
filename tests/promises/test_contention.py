"""Promise 8: writers, worker, pruning and backup share one SQLite file, and none is locked out."""

import json
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.load import Answer, Connection, at_once
from tests.support.product import LOTS, Latchkey
from tests.support.servers import running

pytestmark = pytest.mark.crash

CALLERS = 8
SECONDS = 4.0
OLD_ROWS = 20_000
JSON = {"Content-Type": "application/json"}
DAY = 86_400_000

# Requests of sixty days ago, each with some 1,500 bytes of headers.
FILL = (
    """
    INSERT INTO logs_requestlog (id, at, environment, method, path, route, query, status,
        status_class, code, duration, is_slow, request_bytes, response_bytes, address, user_agent)
    WITH RECURSIVE numbers(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM numbers WHERE n + 1 < :rows)
    SELECT printf('%012x7%03x8%015x', :began + n, n % 4096, n), '2026-01-01 00:00:00', 'production',
        'GET', '/api/production/v1/customers/' || n, 'customers', '', 200, 2, '', 1500, 0, 0, 400,
        '198.51.100.' || n % 250, 'python-httpx/0.28' FROM numbers
    """,
    """
    INSERT INTO logs_requestcontent (request_id, request_headers, response_headers, request_body,
        response_body, is_request_cut, is_response_cut)
    SELECT id, '{"X-Header": "' || printf('%.1500c', 'x') || '"}', '{}', '', '{}', 0, 0
    FROM logs_requestlog WHERE id < printf('%012x', :began + :rows)
    """,
)


@dataclass
class Contention:
    """What came of it."""

    answers: list[Answer] = field(default_factory=list)
    locked: list[str] = field(default_factory=list)
    prunings: list[float] = field(default_factory=list)
    backups: list[float] = field(default_factory=list)
    is_copy_whole: bool = False

    def writes(self) -> list[float]:
        """Return how long the answers to writes took, in seconds, sorted."""
        return sorted(answer.ended - answer.began for answer in self.answers if answer.is_write)


def fill_log(database: Path, rows: int) -> None:
    """Store requests that are due to be pruned."""
    began = int(time.time() * 1000) - 60 * DAY
    with closing(sqlite3.connect(database)) as connection, connection:
        for sql in FILL:
            connection.execute(sql, {"began": began, "rows": rows})


def back_up(database: Path, copy: Path) -> float:
    """Make the copy that the operating guide describes; return the seconds it took."""
    copy.unlink(missing_ok=True)
    began = time.monotonic()
    with closing(sqlite3.connect(database)) as source:
        source.execute("VACUUM INTO ?", (str(copy),))
    return time.monotonic() - began


def is_whole(product: Latchkey, key_id: str) -> bool:
    """Say whether the last copy is sound, and the product finds a key in it."""
    copy = product.folder / "copy.sqlite3"
    with closing(sqlite3.connect(copy)) as connection:
        result = connection.execute("PRAGMA integrity_check").fetchall()
    listed = product.manage("list_api_keys", "--json", DATABASE_URL=f"sqlite:///{copy}")
    return result == [("ok",)] and key_id in listed.stdout


def contend(product: Latchkey, *, seconds: float, old_rows: int = OLD_ROWS) -> Contention:
    """Read and write while logs are pruned and the file is backed up, again and again."""
    made = product.create_key(
        "--permission", "customers:read", "--permission", "customers:write", *LOTS
    )
    database = product.folder / "latchkey.sqlite3"
    fill_log(database, old_rows)
    stopping = threading.Event()
    found = Contention()

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

    def prune() -> None:
        while not stopping.is_set():
            began = time.monotonic()
            pruned = product.manage("prune_logs", "--older-than", "1s", timeout=600)
            assert (pruned.returncode, pruned.stderr) == (0, "")
            found.prunings.append(time.monotonic() - began)

    def copy() -> None:
        while not stopping.is_set():
            found.backups.append(back_up(database, product.folder / "copy.sqlite3"))

    def meanwhile() -> None:
        with ThreadPoolExecutor(2) as pool:
            others = [pool.submit(prune), pool.submit(copy)]
            time.sleep(seconds)
            stopping.set()
        for other in others:
            other.result()

    found.answers = at_once(CALLERS, call, alongside=meanwhile)
    found.is_copy_whole = is_whole(product, made["id"])
    found.locked = [line for line in product.log.read_text().splitlines() if "locked" in line]
    return found


def test_nobody_is_locked_out_of_the_sqlite_file() -> None:
    with running(Latchkey()) as product:
        found = contend(product, seconds=SECONDS)

    assert len(found.answers) > 100
    assert {answer.status for answer in found.answers} == {200, 201}
    assert found.locked == []
    assert found.prunings
    assert found.backups
    assert found.is_copy_whole


def test_pages_that_wait_for_the_database_leave_room_for_others() -> None:
    with running(Latchkey()) as product, ThreadPoolExecutor(16) as pool:
        credential = product.create_key()["key"]
        database = product.folder / "latchkey.sqlite3"
        with closing(sqlite3.connect(database, isolation_level=None)) as writer:
            writer.execute("BEGIN IMMEDIATE")
            # A login writes a session, so it waits.
            logins = [pool.submit(product.visitor) for _ in range(16)]
            time.sleep(1.0)
            slowest = 0.0
            with product.caller(credential) as api:
                for path in ("/healthz", "/api/production/v1/key") * 10:
                    asked_at = time.monotonic()
                    assert api.get(path).status_code == 200
                    slowest = max(slowest, time.monotonic() - asked_at)
        for login in logins:
            login.exception()

    assert slowest < 1.0
