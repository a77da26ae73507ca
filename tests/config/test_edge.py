"""The edge of the web server: bodies are read before a thread is taken, whole or not at all."""

import os
import signal
import socket
import time

import pytest

from tests.latchkey import Latchkey
from tests.servers import running

CUSTOMERS = "/api/production/v1/customers"


def exchange(latchkey: Latchkey, head: list[str], cut_body: bytes = b"") -> bytes:
    """Send a request and return all that comes back; a body is followed by no more."""
    with socket.create_connection(("127.0.0.1", latchkey.port), timeout=10) as connection:
        lines = [*head, "Host: localhost", "Connection: close", "", ""]
        connection.sendall("\r\n".join(lines).encode() + cut_body)
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


def test_a_header_name_with_an_underscore_stands_for_no_other(latchkey: Latchkey) -> None:
    credential = latchkey.create_key()["key"]
    head = ["GET /api/production/v1/key HTTP/1.1", f"X_API_Key: {credential}"]

    assert b"key_missing" in exchange(latchkey, head)


def test_a_closed_terminal_stops_nothing() -> None:
    with running(Latchkey()) as product:
        before = product.processes("")
        assert product.process is not None

        for pid in [product.process.pid, *product.processes("manage.py worker")]:
            os.kill(pid, signal.SIGHUP)
        time.sleep(0.5)

        assert product.process.poll() is None
        assert set(before) <= set(product.processes(""))
        assert product.is_ready()
