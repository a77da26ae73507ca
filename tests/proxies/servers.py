"""What stands behind a proxy in the tests: the application, and the line to Latchkey."""

import base64
import contextlib
import hashlib
import json
import re
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, Self

# RFC 6455 §1.3.
WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
# What answers to some paths have besides.
OWN_FIELDS = {"/own-id": {"X-Request-ID": "own"}}


class Received(NamedTuple):
    """A request as it reached the application."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes
    trailers: bytes

    def header(self, name: str) -> str | None:
        """Return a field's value; None unless it is there exactly once."""
        values = [value for key, value in self.headers if key.lower() == name.lower()]
        return values[0] if len(values) == 1 else None


class _QuietServer(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *args: object) -> None:
        """Print nothing of a proxy that closed its connection."""


def _body_of(request: BaseHTTPRequestHandler) -> tuple[bytes, bytes]:
    """Return the body, and the lines of its trailers."""
    if "chunked" not in request.headers.get("Transfer-Encoding", ""):
        return request.rfile.read(int(request.headers.get("Content-Length", 0))), b""
    chunks, trailers = [], []
    while size := int(request.rfile.readline().split(b";")[0], 16):
        chunks.append(request.rfile.read(size))
        request.rfile.readline()
    while line := request.rfile.readline().rstrip():
        trailers.append(line)
    return b"".join(chunks), b"\n".join(trailers)


class Application:
    """Answers everything, and remembers it: 200, or what a path like ``/answers/401`` names."""

    def __init__(self) -> None:
        self.received: list[Received] = []
        received = self.received

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                # Not self.path, in which // at the beginning is one slash.
                target = self.requestline.split(" ")[1]
                items = [(name, str(value)) for name, value in self.headers.items()]
                received.append(Received(self.command, target, items, *_body_of(self)))
                body = json.dumps({"target": target}).encode()
                if "Upgrade" in self.headers:
                    self._echo()
                    return
                named = re.fullmatch(r"/answers/(\d+)", target)
                self.send_response(int(named[1]) if named else 200)
                for name, value in OWN_FIELDS.get(target, {}).items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(body)

            do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = do_OPTIONS = answer  # noqa: N815

            def _echo(self) -> None:
                key = self.headers["Sec-WebSocket-Key"] + WEBSOCKET_GUID
                accept = base64.b64encode(hashlib.sha1(key.encode()).digest())  # noqa: S324
                self.send_response(101)
                self.send_header("Connection", "Upgrade")
                self.send_header("Upgrade", "websocket")
                self.send_header("Sec-WebSocket-Accept", accept.decode())
                self.end_headers()
                while data := self.connection.recv(65_536):
                    self.connection.sendall(data)
                self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                """Print nothing."""

        self._server = _QuietServer(("127.0.0.1", 0), Handler)
        self.port = int(self._server.server_address[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class Line:
    """Passes bytes to a port and back. It counts connections, and can be cut or go silent."""

    def __init__(self, port: int) -> None:
        self.connections = 0
        self._target = port
        self._is_silent = False
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._accept()
        return self

    def __exit__(self, *error: object) -> None:
        self._close()

    @contextlib.contextmanager
    def cut(self) -> Iterator[None]:
        """Refuse connections, as a server that is not there, for as long as the block lasts."""
        self._close()
        yield
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self._accept()

    @contextlib.contextmanager
    def silent(self) -> Iterator[None]:
        """Accept connections and answer nothing for as long as the block lasts."""
        self._is_silent = True
        self._hang_up()
        yield
        self._is_silent = False
        self._hang_up()

    def _accept(self) -> None:
        threading.Thread(target=self._serve, args=[self._listener], daemon=True).start()

    def _serve(self, listener: socket.socket) -> None:
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(near)
            if not self._is_silent:
                far = socket.create_connection(("127.0.0.1", self._target))
                self._open.append(far)
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=_pass_on, args=pair, daemon=True).start()

    def _close(self) -> None:
        # Wakes accept(), which close() alone does not.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._hang_up()

    def _hang_up(self) -> None:
        while self._open:
            with contextlib.suppress(OSError):
                self._open.pop().shutdown(socket.SHUT_RDWR)


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65_536):
            sink.sendall(data)
    for end in (source, sink):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
