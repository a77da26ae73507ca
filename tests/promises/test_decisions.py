"""Decisions for proxies keep the promises of the API: withdrawn is refused, down is a 503."""

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from tests.promises.test_outages import (
    ANSWER_SECONDS,
    HANG_UP,
    RECOVERY_SECONDS,
    freeze,
    kill,
    locked,
    stop,
)
from tests.support.product import Latchkey, running_on
from tests.support.proxy import DIALECTS, TRUSTING
from tests.support.servers import Postgres, Redis, running
from tests.support.services import available

HTTP = httpx.Client(timeout=10, limits=httpx.Limits(max_keepalive_connections=0))
RULE = "GET /any/** any-key"


def ask(product: Latchkey, credential: str, dialect: str, uri: str = "/any/x") -> httpx.Response:
    """Ask on a connection of its own, so that any of the processes may answer."""
    path = "/auth/production/orders" + {"": "", "nginx": "/nginx", "envoy": f"/envoy{uri}"}[dialect]
    headers = {
        "Authorization": f"Bearer {credential}",
        "X-Forwarded-Method": "GET",
        "X-Forwarded-Uri": uri,
        "X-Forwarded-Host": "orders.example",
        "X-Forwarded-For": "198.51.100.7",
    }
    return HTTP.get(product.url + path, headers=headers)


def told(response: httpx.Response) -> tuple[int, str]:
    """Return the true status and the code."""
    text = response.headers.get("X-Latchkey-Problem", response.text)
    code = httpx.Response(200, text=text).json()["code"] if text else ""
    return int(response.headers.get("X-Latchkey-Status", response.status_code)), code


def prepare(product: Latchkey) -> Any:
    """Make the service and a key."""
    product.guard("orders", RULE)
    return product.create_key()


@pytest.fixture(scope="module")
def product(latchkey: Latchkey) -> Latchkey:
    """The product with a service and a key."""
    latchkey.made = prepare(latchkey)
    return latchkey


CHANGES = {
    "revoke": (("revoke_api_key", "KEY"), (401, "key_revoked")),
    "rule": (("update_service", "orders", "--rule", "GET /any/** customers:read"),
             (403, "permission_denied")),
    "disable": (("update_service", "orders", "--disable"), (403, "service_disabled")),
    "delete": (("delete_service", "orders"), (404, "unknown_service")),
}  # fmt: skip
UNDO = {
    "revoke": ("activate_api_key", "KEY"),
    "rule": ("update_service", "orders", "--rule", RULE),
    "disable": ("update_service", "orders", "--enable"),
    "delete": ("create_service", "orders", "--rule", RULE),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_change_binds_on_the_next_decision_of_every_process(product: Any, change: str) -> None:
    made = product.made
    command, refused = CHANGES[change]

    def seen() -> set[tuple[int, str]]:
        return {told(ask(product, made["key"], dialect)) for dialect in DIALECTS * 5}

    def manage(arguments: tuple[str, ...]) -> None:
        done = product.manage(*(made["id"] if word == "KEY" else word for word in arguments))
        assert done.returncode == 0, done.stderr

    before = seen()
    manage(command)
    after = seen()
    manage(UNDO[change])

    assert (before, after, seen()) == ({(200, "")}, {refused}, {(200, "")})


@pytest.mark.parametrize(
    ("target", "fields", "code"),
    [
        ("/auth/production/orders/envoy/any/x", [], b""),
        ("/auth/production/orders/envoy/any//x", [], b"ambiguous_path"),
        ("/auth/production/orders/envoy/any/%2e%2e/x", [], b"ambiguous_path"),
        ("/auth/production/orders/envoy/any%2fx", [], b"ambiguous_path"),
        ("/auth/production/orders/envoy/any/x;y", [], b"ambiguous_path"),
        ("/auth/production/orders/envoy/any/./x", [], b"ambiguous_path"),
        ("/auth/production/orders", ["X-Forwarded-Uri: /any/x"], b""),
        ("/auth/production/orders", ["X-Forwarded-Uri: /any/a,b"], b""),
        ("/auth/production/orders", ["X-Forwarded-Uri: /any/a"] * 2, b"forwarded_incomplete"),
        ("/auth/production/orders", ["X_Forwarded_Uri: /any/a"], b"forwarded_incomplete"),
        ("/auth/production/orders", ["X-Forwarded-Uri: /any/\xe9"], b"forwarded_incomplete"),
    ],
)
def test_what_is_judged_is_what_was_sent(
    product: Any, target: str, fields: list[str], code: bytes
) -> None:
    lines = [
        f"GET {target} HTTP/1.1",
        f"X-API-Key: {product.made['key']}",
        "Host: orders.example",
        "X-Forwarded-Method: GET",
        "X-Forwarded-Host: orders.example",
        "X-Forwarded-For: 198.51.100.7",
        "Connection: close",
        *fields,
    ]
    with socket.create_connection(("127.0.0.1", product.port), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode("latin-1"))
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert answer.startswith(b"HTTP/1.1 400 " if code else b"HTTP/1.1 200 ")
    assert code in answer


def test_a_body_is_neither_needed_nor_waited_for_once_it_is_too_long(product: Any) -> None:
    lines = [
        "POST /auth/production/orders/envoy/any/x HTTP/1.1",
        "Host: orders.example",
        "Content-Length: 100000000",
    ]
    with socket.create_connection(("127.0.0.1", product.port), timeout=10) as connection:
        connection.sendall("\r\n".join([*lines, "", ""]).encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"key_missing" in answer


def answers(product: Latchkey, credential: str) -> list[tuple[tuple[int, str], float]]:
    """Ask more at once than there are threads; return each answer and its seconds."""

    def send(number: int) -> tuple[tuple[int, str], float]:
        began = time.monotonic()
        response = ask(product, credential, DIALECTS[number % 3])
        assert all(not response.headers[f"X-Latchkey-{name}"] for name in ("Key-Id", "Customers"))
        assert int(response.headers["Retry-After"]) > 0
        return told(response), time.monotonic() - began

    with ThreadPoolExecutor(24) as pool:
        return [found for _ in range(2) for found in pool.map(send, range(24))]


def recovers(product: Latchkey, credential: str) -> None:
    began, in_a_row = time.monotonic(), 0
    while in_a_row < 10:
        assert time.monotonic() - began < RECOVERY_SECONDS
        is_good = ask(product, credential, "").status_code == 200
        in_a_row = in_a_row + 1 if is_good else 0
        time.sleep(0.02)


@pytest.fixture(scope="module")
def scaled() -> Iterator[tuple[Latchkey, str, Postgres, Redis]]:
    """The product on a PostgreSQL and a Redis that a test may stop, and a credential."""
    with contextlib.ExitStack() as stack:
        postgres = stack.enter_context(running(available(Postgres)))
        redis = stack.enter_context(running(available(Redis)))
        product = Latchkey(database=postgres.url, redis=redis.url, **TRUSTING)
        stack.enter_context(running(product))
        yield product, prepare(product)["key"], postgres, redis


@pytest.mark.crash
@pytest.mark.parametrize("how", [stop, kill, freeze])
@pytest.mark.parametrize("which", ["postgres", "redis"])
def test_a_server_down_is_503_in_every_dialect(
    scaled: tuple[Latchkey, str, Postgres, Redis], which: str, how: Callable[..., Any]
) -> None:
    product, credential, postgres, redis = scaled
    recovers(product, credential)

    bring_back = how(postgres if which == "postgres" else redis)
    try:
        found = answers(product, credential)
    finally:
        bring_back()

    assert {answer for answer, _ in found} == {(503, "unavailable")}
    assert max(seconds for _, seconds in found) < ANSWER_SECONDS
    recovers(product, credential)


@pytest.mark.crash
def test_connections_that_the_server_hung_up_on_cost_no_decision(
    scaled: tuple[Latchkey, str, Postgres, Redis],
) -> None:
    product, credential, postgres, _ = scaled
    recovers(product, credential)
    with psycopg.connect(postgres.url) as connection:
        (ended,) = connection.execute(HANG_UP).fetchone() or (0,)

    statuses = {ask(product, credential, dialect).status_code for dialect in DIALECTS * 8}

    assert ended >= 4
    assert statuses == {200}


@pytest.mark.crash
def test_counters_that_cannot_be_written_are_a_503_in_every_dialect() -> None:
    with running_on("sqlite", **TRUSTING) as product:
        credential = prepare(product)["key"]
        recovers(product, credential)
        with locked(product.folder / "counters.sqlite3"):
            found = answers(product, credential)
        recovers(product, credential)

    assert {answer for answer, _ in found} == {(503, "unavailable")}
    assert max(seconds for _, seconds in found) < ANSWER_SECONDS
