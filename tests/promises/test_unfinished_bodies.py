"""Promise 9: bodies that never end, answers that nobody reads and hostile bodies slow nobody."""

import os
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest

from tests.support.product import LOTS, Latchkey

pytestmark = pytest.mark.crash

CONNECTIONS = 200
SETTINGS = {"BODY_TIMEOUT_SECONDS": "10"}
ASKING_SECONDS = 3.0
CSRF = "a" * 32


def unfinished(product: Latchkey, credential: str) -> list[socket.socket]:
    """Open connections that announce a body and send none of it: to a page and to the API."""
    page = f"POST /admin/login/ HTTP/1.1\r\nHost: localhost\r\nCookie: csrftoken={CSRF}\r\n"
    api = (
        "POST /api/production/v1/customers HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {credential}\r\nContent-Type: application/json\r\n"
    )
    connections = []
    for number in range(CONNECTIONS):
        connection = socket.create_connection(("127.0.0.1", product.port), timeout=30)
        head = (page, api)[number % 2]
        connection.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode())
        connections.append(connection)
    return connections


def slowest_answer(product: Latchkey, *, seconds: float) -> tuple[float, set[bytes]]:
    """Ask while 200 bodies trickle or are silent.

    Return the longest time in seconds that an answer took, and the status lines that the
    unfinished connections got before they were closed.
    """
    credential = product.create_key("--permission", "customers:write", *LOTS)["key"]
    slowest = 0.0
    with ExitStack() as stack:
        connections = [stack.enter_context(each) for each in unfinished(product, credential)]
        ends_at = time.monotonic() + seconds
        with product.caller(credential) as api:
            while time.monotonic() < ends_at:
                for connection in connections[::3]:
                    # One whose time is over is closed.
                    with suppress(OSError):
                        connection.sendall(b" ")
                for path in ("/healthz", "/api/production/v1/key"):
                    asked_at = time.monotonic()
                    assert api.get(path).status_code == 200
                    slowest = max(slowest, time.monotonic() - asked_at)
        return slowest, {received(connection).split(b"\r\n")[0] for connection in connections}


def received(connection: socket.socket) -> bytes:
    """Return what comes until the connection is closed."""
    return b"".join(iter(lambda: connection.recv(65_536), b""))


def test_two_hundred_bodies_that_never_end_slow_nobody(product: Latchkey) -> None:
    slowest, answers = slowest_answer(product, seconds=ASKING_SECONDS)

    assert slowest < 1.0
    assert answers == {b"HTTP/1.1 408 Request Timeout"}


def test_readers_that_never_read_slow_nobody(product: Latchkey) -> None:
    large = "/static/drf_spectacular_sidecar/swagger-ui-dist/swagger-ui-bundle.js"
    with ExitStack() as stack, httpx.Client(base_url=product.url, timeout=5) as anyone:
        for _ in range(16):
            reader = stack.enter_context(socket.socket())
            # As over a real network: the kernel takes little before somebody reads.
            reader.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 1400)
            reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            reader.connect(("127.0.0.1", product.port))
            reader.sendall(f"GET {large} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        time.sleep(0.5)

        asked_at = time.monotonic()
        assert anyone.get("/healthz").status_code == 200
        assert time.monotonic() - asked_at < 1.0


def test_a_body_that_took_too_long_is_on_record(product: Latchkey) -> None:
    made = product.create_key("--permission", "customers:write", "--permission", "logs:read")
    head = (
        "POST /api/production/v1/customers HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {made['key']}\r\nContent-Type: application/json\r\n"
        'Content-Length: 1000\r\n\r\n{"name": "'
    )
    with socket.create_connection(("127.0.0.1", product.port), timeout=30) as connection:
        connection.sendall(head.encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert b"body_timeout" in answer
    ends_at = time.monotonic() + 10
    rows: list[dict[str, object]] = []
    while not rows and time.monotonic() < ends_at:
        time.sleep(0.2)
        with product.caller(made["key"]) as api:
            rows = api.get("/api/production/v1/logs?status=408").json()["data"]
    assert [row["code"] for row in rows] == ["body_timeout"]
    with httpx.Client(base_url=product.url) as anyone:
        assert anyone.get("/healthz").status_code == 200


def resident_bytes(product: Latchkey) -> int:
    """Return what the web processes hold in memory."""
    pages = [
        int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        for pid in product.processes("latchkey-web")
    ]
    return sum(pages) * os.sysconf("SC_PAGE_SIZE")


def test_a_body_of_unknown_fields_costs_no_memory_and_a_short_answer(product: Latchkey) -> None:
    credential = product.create_key("--permission", "customers:write")["key"]
    body = {f"f{number}": 0 for number in range(80_000)}
    with product.caller(credential) as api:
        api.post("/api/production/v1/customers", json={"unknown": 0})
        before = resident_bytes(product)
        answers = [api.post("/api/production/v1/customers", json=body) for _ in range(4)]
    grown = resident_bytes(product) - before

    assert {answer.status_code for answer in answers} == {400}
    assert {answer.json()["error_count"] for answer in answers} == {80_000}
    assert max(len(answer.content) for answer in answers) < 20_000
    # Two processes of four threads each: what parsing one body takes, and not what errors took.
    assert grown < 100_000_000
