"""The edge of the web server: bodies are read before a thread is taken, whole or not at all."""

import os
import select
import signal
import socket
import time
from contextlib import ExitStack

import httpx
import pytest

from tests.support.product import Latchkey
from tests.support.servers import running, wait_until

CUSTOMERS = "/api/production/v1/customers"
MAX_BODIES_OF_ONE_NETWORK = 25


def exchange(
    latchkey: Latchkey, head: list[str], cut_body: bytes = b"", *, body: bytes = b""
) -> bytes:
    """Send a request and return all that comes back; a cut body is followed by no more."""
    with socket.create_connection(("127.0.0.1", latchkey.port), timeout=10) as connection:
        lines = [*head, "Host: localhost", "Connection: close", "", ""]
        connection.sendall("\r\n".join(lines).encode() + cut_body + body)
        if cut_body:
            connection.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: connection.recv(65_536), b""))


def post(credential: str, *headers: str) -> list[str]:
    return [
        f"POST {CUSTOMERS} HTTP/1.1",
        f"Authorization: Bearer {credential}",
        "Content-Type: application/json",
        *headers,
    ]


@pytest.mark.parametrize("framing", ["length", "chunks"])
def test_a_body_that_is_cut_short_has_no_effect(latchkey: Latchkey, framing: str) -> None:
    made = latchkey.create_key("--permission", "customers:write", "--permission", "customers:read")
    name = f"Cut short {framing}"
    text = f'{{"name": "{name}"}}'.encode()
    if framing == "length":
        answer = exchange(latchkey, post(made["key"], "Content-Length: 5000"), text)
    else:
        chunk = f"{len(text):x}\r\n".encode() + text + b"\r\n"
        answer = exchange(latchkey, post(made["key"], "Transfer-Encoding: chunked"), chunk)

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"malformed_body" in answer
    with latchkey.caller(made["key"]) as api:
        assert name not in api.get(CUSTOMERS).text


@pytest.mark.parametrize("path", [CUSTOMERS, "/admin/login/"])
def test_a_body_that_is_announced_too_long_is_refused_unread(latchkey: Latchkey, path: str) -> None:
    credential = latchkey.create_key("--permission", "customers:write")["key"]
    head = [line.replace(CUSTOMERS, path) for line in post(credential, "Content-Length: 100000000")]

    assert exchange(latchkey, head).startswith(b"HTTP/1.1 413 ")


def test_a_long_body_arrives_whole(latchkey: Latchkey) -> None:
    credential = latchkey.create_key("--permission", "customers:write")["key"]
    with latchkey.caller(credential) as api:
        answer = api.post(CUSTOMERS, json={"name": "Long", "metadata": {"a": "x" * 900_000}})

    # Read to its end, and refused for what it holds.
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
    assert answer.json()["errors"][0]["field"].startswith("metadata")


@pytest.mark.parametrize(
    "coding", ["gzip, chunked", "chunked, chunked", "gzip\r\nTransfer-Encoding: chunked"]
)
def test_a_transfer_coding_that_is_not_understood_is_refused(
    latchkey: Latchkey, coding: str
) -> None:
    credential = latchkey.create_key("--permission", "customers:write")["key"]
    head = post(credential, f"Transfer-Encoding: {coding}")
    chunks = b'10\r\n{"name": "Gzip"}\r\n0\r\n\r\n'

    to_api = exchange(latchkey, head, body=chunks)
    head[0] = "POST /admin/login/ HTTP/1.1"
    to_page = exchange(latchkey, head, body=chunks)

    for answer in (to_api, to_page):
        assert answer.startswith(b"HTTP/1.1 415 ")
        assert b"connection: close" in answer
    assert b"unsupported_media_type" in to_api


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (["GET"], b"400 Bad Request"),
        ([f"GET {CUSTOMERS}?{'a' * 65_536} HTTP/1.1"], b"414 URI Too Long"),
        (
            [f"GET {CUSTOMERS} HTTP/1.1", *(f"X-{number}: a" for number in range(100))],
            b"431 Request Header Fields Too Large",
        ),
    ],
    ids=["malformed", "address", "fields"],
)
def test_what_the_server_answers_by_itself_has_no_body(
    latchkey: Latchkey, head: list[str], status: bytes
) -> None:
    answer = exchange(latchkey, head)

    assert answer.startswith(b"HTTP/1.1 " + status)
    assert answer.endswith(b"\r\n\r\n")
    assert b"x-request-id" not in answer


def test_long_bodies_one_after_another_find_room(latchkey: Latchkey) -> None:
    credential = latchkey.create_key("--permission", "customers:write")["key"]
    body = {"name": "Long", "metadata": {"a": "x" * 900_000}}
    with latchkey.caller(credential) as api:
        statuses = {
            api.post(CUSTOMERS, json=body).status_code for _ in range(3 * MAX_BODIES_OF_ONE_NETWORK)
        }

    assert statuses == {400}


def unfinished(latchkey: Latchkey, address: str) -> socket.socket:
    """Send half of a long body from ``address``; return the connection, which stays open."""
    connection = socket.create_connection(
        ("127.0.0.1", latchkey.port), timeout=5, source_address=(address, 0)
    )
    head = b"POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 140000\r\n\r\n"
    connection.sendall(head + b"x" * 70_000)
    return connection


def test_long_bodies_of_one_network_keep_nobody_else_s_out(latchkey: Latchkey) -> None:
    credential = latchkey.create_key("--permission", "customers:write")["key"]
    processes = int(latchkey.environment["WEB_CONCURRENCY"])
    known = httpx.HTTPTransport(local_address="127.0.0.3")
    with ExitStack() as stack, latchkey.caller(credential, transport=known) as api:
        connections = [stack.enter_context(unfinished(latchkey, "127.0.0.2")) for _ in range(120)]

        def is_refused() -> bool:
            answered = select.select(connections, [], [], 0)[0]
            return len(answered) >= len(connections) - processes * MAX_BODIES_OF_ONE_NETWORK

        wait_until(is_refused, seconds=5)
        body = {"name": "Long", "metadata": {"a": "x" * 100_000}}
        statuses = {
            api.post(CUSTOMERS, json=body, headers={"Connection": "close"}).status_code
            for _ in range(8)
        }
        answer = select.select(connections, [], [], 0)[0][0].recv(12)

    assert answer == b"HTTP/1.1 503"
    # Read to its end, and refused for what it holds.
    assert statuses == {400}


def test_a_header_name_with_an_underscore_stands_for_no_other(latchkey: Latchkey) -> None:
    credential = latchkey.create_key()["key"]
    head = ["GET /api/production/v1/key HTTP/1.1", f"X_API_Key: {credential}"]

    assert b"key_missing" in exchange(latchkey, head)


def test_a_closed_terminal_stops_nothing() -> None:
    with running(Latchkey()) as product:
        before = product.processes("")
        assert product.process is not None

        for pid in [product.process.pid, *product.processes("latchkey-worker")]:
            os.kill(pid, signal.SIGHUP)
        time.sleep(0.5)

        assert product.process.poll() is None
        assert set(before) <= set(product.processes(""))
        assert product.is_ready()
