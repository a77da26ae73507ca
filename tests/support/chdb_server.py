"""ClickHouse's engine (chDB) behind its HTTP interface, as far as the product uses it.

``python -m tests.support.chdb_server PORT FOLDER DELAY``; the user is ``latchkey``, its password
``secret``. Statements run one after the other, and inserts are acknowledged so many seconds later.
Settings of reads are ignored.
"""

import base64
import re
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl, urlsplit

from chdb.session import Session

INSERT = re.compile(rb"\s*(INSERT INTO .*?) FORMAT (\w+)\n", re.DOTALL)
CODE = re.compile(r"Code: (\d+)\.")
# Parameters that are no settings of a statement, or concern HTTP alone.
NO_SETTINGS = {
    "database", "query", "query_id", "session_id", "wait_end_of_query", "compress", "decompress",
    "client_protocol_version", "send_progress_in_http_headers", "enable_http_compression",
    "http_headers_progress_interval_ms", "cancel_http_readonly_queries_on_client_close",
}  # fmt: skip
LOGIN = "Basic " + base64.b64encode(b"latchkey:secret").decode()


class Engine:
    """The engine of this process, which there can be only one of."""

    def __init__(self, folder: str) -> None:
        self._session: Any = Session(folder)  # type: ignore[no-untyped-call]
        self._lock = threading.Lock()
        self._folder = folder

    def run(self, statement: bytes, parameters: dict[str, str]) -> bytes:
        with self._lock:
            self._session.query(f"USE `{parameters.get('database', 'default')}`")
            insert = INSERT.match(statement)
            if insert is None:
                answer = self._session.query(statement.decode(), "TabSeparated")
                return bytes(answer.bytes())
            settings = ", ".join(
                f"{name} = '{value}'"
                for name, value in parameters.items()
                if name not in NO_SETTINGS
            )
            with tempfile.NamedTemporaryFile(dir=self._folder, prefix="rows") as file:
                file.write(statement[insert.end() :])
                file.flush()
                into, form = insert[1].decode(), insert[2].decode()
                self._session.query(
                    f"{into} FROM INFILE '{file.name}'"
                    + (f" SETTINGS {settings}" if settings else "")
                    + f" FORMAT {form}"
                )
            return b""


class Handler(BaseHTTPRequestHandler):
    """Answers statements sent by POST."""

    protocol_version = "HTTP/1.1"
    # Head and body are sent apart: else the second waits 40 ms for the client's acknowledgement.
    disable_nagle_algorithm = True
    engine: ClassVar[Engine]
    delay: ClassVar[float]

    def do_GET(self) -> None:
        self._answer(200, b"Ok.\n")

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parameters = dict(parse_qsl(urlsplit(self.path).query))
        if self.headers.get("Authorization") != LOGIN:
            text = "Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)"
            self._answer(403, text.encode(), {"X-ClickHouse-Exception-Code": "516"})
            return
        if "query" in parameters:
            body = parameters["query"].encode() + b"\n" + body
        try:
            answer = self.engine.run(body, parameters)
        except Exception as error:  # noqa: BLE001 - the engine raises whatever it likes
            code = CODE.search(str(error))
            headers = {"X-ClickHouse-Exception-Code": code[1] if code else "1000"}
            self._answer(500, str(error).encode(), headers)
        else:
            if INSERT.match(body):
                time.sleep(self.delay)
            self._answer(200, answer)

    def _answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("X-ClickHouse-Server-Display-Name", "chdb")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing of each request."""


def main() -> None:
    """Serve until the process is ended."""
    port, folder, delay = sys.argv[1:]
    Handler.delay = float(delay)
    Path(folder).mkdir(exist_ok=True)
    Handler.engine = Engine(folder)
    ThreadingHTTPServer.request_queue_size = 64
    ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
