"""Promise 9: a dependency down is a 503 within 2 s, and no success unmetered or unauthenticated.

It works again within 5 s, without a restart.
"""

import contextlib
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from database.circuit_breaker import CircuitBreaker
from tests.support.product import Latchkey
from tests.support.servers import Postgres, Redis, Server, running
from tests.support.services import available

pytestmark = pytest.mark.crash

PATH = "/api/production/v1/key"
HANG_UP = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()"
)
ANSWER_SECONDS = 2.0
RECOVERY_SECONDS = 5.0


@pytest.fixture(scope="module")
def scaled() -> Iterator[tuple[Latchkey, Postgres, Redis]]:
    """The product on a PostgreSQL and a Redis that a test may stop."""
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(running(available(Postgres)))
        redis = stack.enter_context(running(available(Redis)))
        product = Latchkey(database=postgres.url, redis=redis.url)
        stack.enter_context(running(product))
        yield product, postgres, redis


def stop(server: Server) -> Callable[[], None]:
    server.stop()
    return server.start


def kill(server: Server) -> Callable[[], None]:
    server.stop(signal.SIGKILL)
    return server.start


def freeze(server: Server) -> Callable[[], None]:
    server.freeze()
    return server.thaw


def answers(api: httpx.Client, clients: int = 24) -> list[tuple[int, float]]:
    """Send more requests at once than there are threads; return each status and its seconds."""

    def send(_: int) -> tuple[int, float]:
        began = time.monotonic()
        response = api.get(PATH)
        if response.status_code == 503:
            assert response.json()["code"] == "unavailable"
            assert int(response.headers["Retry-After"]) > 0
        return response.status_code, time.monotonic() - began

    with ThreadPoolExecutor(clients) as pool:
        return [found for _ in range(2) for found in pool.map(send, range(clients))]


def recovers(api: httpx.Client) -> None:
    """Wait until requests succeed again, in every process that may answer one."""
    began = time.monotonic()
    in_a_row = 0
    while in_a_row < 10:
        assert time.monotonic() - began < RECOVERY_SECONDS
        in_a_row = in_a_row + 1 if api.get(PATH).status_code == 200 else 0
        time.sleep(0.02)


@pytest.mark.parametrize("how", [stop, kill, freeze])
@pytest.mark.parametrize("which", ["postgres", "redis"])
def test_a_server_down_is_503_and_comes_back_by_itself(
    scaled: tuple[Latchkey, Postgres, Redis], which: str, how: Any
) -> None:
    product, postgres, redis = scaled
    made = product.create_key("--permission", "customers:read")
    with product.caller(made["key"]) as api:
        assert api.get(PATH).status_code == 200
        bring_back = how(postgres if which == "postgres" else redis)
        try:
            found = answers(api)
            ready = httpx.get(product.url + "/readyz", timeout=10)
            alive = httpx.get(product.url + "/healthz", timeout=10)
        finally:
            bring_back()
        recovers(api)

    assert {status for status, _ in found} == {503}
    assert max(seconds for _, seconds in found) < ANSWER_SECONDS
    assert ready.status_code == 503
    assert alive.status_code == 200


@pytest.mark.parametrize("how", [stop, freeze])
def test_an_admin_page_says_what_is_down_and_is_back_with_it(
    scaled: tuple[Latchkey, Postgres, Redis], how: Any
) -> None:
    product, postgres, _ = scaled
    with contextlib.closing(product.visitor()) as admin:
        assert admin.get("/admin/").status_code == 200
        bring_back = how(postgres)
        try:
            began = time.monotonic()
            page = admin.get("/admin/")
            took = time.monotonic() - began
        finally:
            bring_back()
        time.sleep(CircuitBreaker.SECONDS)
        # More than there are connections left over in the pools of both processes.
        pages = [admin.get("/admin/").status_code for _ in range(12)]
        ready = [httpx.get(product.url + "/readyz").json()["checks"] for _ in range(12)]

    assert page.status_code == 503
    assert took < ANSWER_SECONDS
    assert "Wait a moment and load the page again." in page.text
    assert set(pages) == {200}
    assert {checks["database"] for checks in ready} == {"ok"}
    assert "Traceback" not in product.log.read_text()


def test_connections_that_the_server_hung_up_on_cost_no_request(
    scaled: tuple[Latchkey, Postgres, Redis],
) -> None:
    product, postgres, _ = scaled
    made = product.create_key("--permission", "customers:read")
    with product.caller(made["key"]) as api:
        assert {status for status, _ in answers(api)} == {200}
        with psycopg.connect(postgres.url) as connection:
            (ended,) = connection.execute(HANG_UP).fetchone() or (0,)
        found = answers(api)

    assert ended >= 4
    assert {status for status, _ in found} == {200}


@pytest.mark.parametrize("command", ["list_api_keys", "create_api_key", "serve"])
def test_a_command_says_in_one_line_that_the_database_is_down(tmp_path: Any, command: str) -> None:
    product = Latchkey(database="postgres://latchkey@127.0.0.1:1/none", LATCHKEY_VAR=str(tmp_path))
    arguments = ["x", "--environment", "production"] if command == "create_api_key" else []
    began = time.monotonic()

    done = product.manage(command, *arguments)

    assert time.monotonic() - began < 10
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert "database" in done.stderr


def test_a_command_says_in_one_line_that_the_counters_are_down(tmp_path: Any) -> None:
    product = Latchkey(redis="redis://127.0.0.1:1/0", LATCHKEY_VAR=str(tmp_path))
    product.manage("migrate")

    done = product.manage("serve")

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "REDIS_URL" in done.stderr


@contextlib.contextmanager
def locked(path: Any) -> Iterator[None]:
    """Hold a file's write lock."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@pytest.fixture(scope="module")
def embedded() -> Iterator[Latchkey]:
    """The product on files alone."""
    with running(Latchkey()) as product:
        yield product


def test_counters_that_cannot_be_written_are_503_and_never_unmetered(embedded: Latchkey) -> None:
    made = embedded.create_key()
    with embedded.caller(made["key"]) as api:
        assert api.get(PATH).status_code == 200
        with locked(embedded.folder / "counters.sqlite3"):
            found = answers(api)
        recovers(api)

    assert {status for status, _ in found} == {503}
    assert max(seconds for _, seconds in found) < ANSWER_SECONDS


def test_a_database_that_cannot_be_written_is_503_for_writes_and_serves_reads(
    embedded: Latchkey,
) -> None:
    made = embedded.create_key("--permission", "customers:write")
    with embedded.caller(made["key"]) as api:
        with locked(embedded.folder / "latchkey.sqlite3"):
            read = api.get(PATH)
            began = time.monotonic()
            write = api.post("/api/production/v1/customers", json={"name": "Blocked"})
            took = time.monotonic() - began
        again = api.post("/api/production/v1/customers", json={"name": "Through"})

    assert (read.status_code, write.status_code, again.status_code) == (200, 503, 201)
    assert took < ANSWER_SECONDS


def test_a_page_waits_longer_than_a_request_for_its_turn_to_write(embedded: Latchkey) -> None:
    page = "/admin/customers/customer/add/"
    form = {"environment": "production", "name": "Patient", "status": "active", "metadata": "{}"}
    with contextlib.closing(embedded.visitor()) as visitor, ThreadPoolExecutor(1) as pool:
        token = {"csrfmiddlewaretoken": visitor.cookies["csrftoken"]}
        with locked(embedded.folder / "latchkey.sqlite3"):
            saving = pool.submit(visitor.post, page, data=form | token)
            time.sleep(2.0)
        saved = saving.result()

    assert (saved.status_code, saved.headers["location"]) == (302, "/admin/customers/customer/")


def test_a_counter_file_that_was_removed_is_made_again(embedded: Latchkey) -> None:
    made = embedded.create_key()
    for name in ("counters.sqlite3", "counters.sqlite3-wal", "counters.sqlite3-shm"):
        (embedded.folder / name).unlink(missing_ok=True)

    with embedded.caller(made["key"]) as api:
        statuses = {api.get(PATH).status_code for _ in range(10)}

    assert statuses <= {200, 503}
    assert 200 in statuses
