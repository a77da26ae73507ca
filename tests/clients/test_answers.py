"""A Latchkey, or what stands before it, whose answer is no decision: nothing is admitted."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from latchkey_guard import Decision, Guard

from tests.clients.conftest import Service, call
from tests.support.servers import running

pytestmark = pytest.mark.client

KEY = {"id": "4kQ9zTfB2mXe", "environment": "production", "limits": {"minute": 60}}
ADMITTED = {
    "valid": True, "code": "valid", "status": 200, "detail": "", "key": KEY,
    "permission": "orders:read", "remaining": {"minute": 59}, "retry_after": None,
}  # fmt: skip
REFUSED = ADMITTED | {"valid": False, "code": "key_invalid", "status": 401, "key": None}
NO_DECISIONS: list[Any] = [
    "[" * 100_000,
    "<html>",
    "null",
    {"valid": True},
    {name: value for name, value in ADMITTED.items() if name != "key"},
    ADMITTED | {"valid": False},
    ADMITTED | {"code": "key_invalid"},
    ADMITTED | {"status": 500},
    ADMITTED | {"status": "200"},
    ADMITTED | {"key": "4kQ9zTfB2mXe"},
    ADMITTED | {"key": {}},
    ADMITTED | {"key": KEY | {"limits": None}},
    ADMITTED | {"remaining": "minute"},
    REFUSED | {"status": 200},
    REFUSED | {"status": 100},
    REFUSED | {"code": ["key_invalid"]},
    REFUSED | {"retry_after": "soon"},
    ADMITTED | {"key": KEY | {"limits": {"minute": "60\r\nX-Key: forged"}}},
    ADMITTED | {"remaining": {"minute": "59\r\nX-Key: forged"}},
    REFUSED | {"status": 403, "code": "permission_denied", "permission": 'a"\r\nX-Key: forged'},
    json.dumps(ADMITTED) + " " * 1_100_000,
]


@pytest.fixture(scope="module")
def answers() -> Iterator[Any]:
    """A server that answers its ``body``, with 200."""

    class Answers(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            body: Any = self.server.body
            self.wfile.write((body if isinstance(body, str) else json.dumps(body)).encode())

        def log_message(self, *_: Any) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@contextmanager
def listening(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve connections with ``answer``; yield the address."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        listener.shutdown(socket.SHUT_RDWR)


def trickle(head: bytes) -> Callable[[socket.socket], None]:
    """Answer ``head``, and then a character in every tenth of a second."""

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.recv(65_536)
            connection.sendall(head)
            while True:
                connection.sendall(b"x")
                time.sleep(0.1)

    return answer


@pytest.mark.parametrize(
    "head",
    [b"HTTP/1.1 200 OK\r\nX-Slow: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n", b""],
    ids=["header", "body", "status line"],
)
@pytest.mark.parametrize(
    "ask",
    [lambda guard: guard.verify("any"), lambda guard: asyncio.run(guard.averify("any"))],
    ids=["verify", "averify"],
)
def test_an_answer_that_trickles_is_waited_for_no_longer_than_the_timeout(
    head: bytes, ask: Callable[[Guard], Decision]
) -> None:
    with listening(trickle(head)) as url:
        guard = Guard(url, environment="production", key="a key", timeout=0.5)
        began = time.monotonic()
        decision = ask(guard)
        took = time.monotonic() - began

    assert (decision.status, decision.code) == (503, "unavailable")
    assert 0.4 < took < 1.5


def test_a_question_after_one_that_failed_has_all_of_the_timeout(answers: Any) -> None:
    answers.body = ADMITTED
    guard = Guard(
        f"http://127.0.0.1:{answers.server_port}", environment="production", key="x", timeout=0.5
    )
    asked = []
    for _ in range(3):
        asked.append(guard.verify("any").status)
        time.sleep(0.3)

    assert asked == [200, 200, 200]


def test_an_address_that_takes_no_connection_is_one_refusal() -> None:
    guard = Guard("http://localhost:9", environment="production", key="a key")

    assert guard.verify("any").status == 503


@pytest.mark.parametrize("environment", ["", "a b", 'x"\r\nX-Key: forged', "production/../x"])
def test_an_environment_that_is_no_name_is_refused_at_the_start(environment: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        Guard("http://localhost", environment=environment, key="a key")


@pytest.mark.parametrize("name", ["fastapi", "flask", "express", "hono"])
def test_what_is_no_decision_admits_nothing(
    name: str, serve: Callable[..., Service], answers: Any, request: pytest.FixtureRequest
) -> None:
    if name in {"express", "hono"}:
        request.getfixturevalue("typescript")
    with running(serve(name, LATCHKEY_URL=f"http://127.0.0.1:{answers.server_port}")) as service:
        for answers.body in NO_DECISIONS:
            assert call(service, "any").status_code == 503, answers.body

        answers.body = REFUSED
        assert call(service, "any").status_code == 401
        answers.body = ADMITTED
        assert call(service, "any").status_code == 200
