"""Spans that are sent to a collector, and nothing of it where none is named."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.product import ROOT, Latchkey
from tests.support.proxy import TRUSTING, forwarded
from tests.support.servers import running, wait_until

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
# The exporter's delay, in milliseconds; 5 s by default.
SOON = {"OTEL_BSP_SCHEDULE_DELAY": "100"}


class Collector:
    """Takes spans over HTTP (OTLP), and remembers them and what they came in."""

    def __init__(self) -> None:
        self.spans: list[Any] = []
        self.resources: list[dict[str, str]] = []
        self.sent = b""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                assert self.path == "/v1/traces"
                collector.take(body)
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Print nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def take(self, body: bytes) -> None:
        self.sent += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append(attributes(resource.resource))
            self.spans += [span for scope in resource.scope_spans for span in scope.spans]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def of(self, request_id: str) -> Any:
        """Return the one span of a request, once it has come."""

        def found() -> list[Any]:
            return [
                one for one in self.spans if attributes(one)["latchkey.request_id"] == request_id
            ]

        wait_until(lambda: bool(found()), 20)
        (span,) = found()
        return span


def attributes(of: Any) -> dict[str, str]:
    return {one.key: one.value.string_value or str(one.value.int_value) for one in of.attributes}


@pytest.fixture
def collector() -> Iterator[Collector]:
    started = Collector()
    yield started
    started.close()


def test_each_request_and_decision_is_a_span_of_its_trace(collector: Collector) -> None:
    where = {"OTEL_EXPORTER_OTLP_ENDPOINT": f"{collector.url}/", **SOON, **TRUSTING}
    with running(Latchkey(**where)) as product:
        key = product.create_key("--permission", "customers:read")
        product.guard("orders", "GET /v1/** any-key")
        traced = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
        with product.caller(key["key"]) as caller:
            request = caller.get(
                "/api/production/v1/customers", headers=traced | {"X-Note": "never"}
            )
            decision = caller.get("/auth/production/orders", headers=traced | forwarded("/v1/a"))
            untraced = caller.get(f"/api/production/v1/nowhere/{key['key']}")
            unwanted = traced | {"traceparent": f"00-{'1' * 32}-{PARENT}-00"}
            caller.get("/api/production/v1/key", headers=unwanted)

        ids = [answer.headers["X-Request-ID"] for answer in (request, decision, untraced)]
        spans = [collector.of(one) for one in ids]

    assert [answer.status_code for answer in (request, decision, untraced)] == [200, 200, 404]
    assert [span.trace_id.hex() for span in spans[:2]] == [TRACE, TRACE]
    assert [span.parent_span_id.hex() for span in spans] == [PARENT, PARENT, ""]
    assert [span.name for span in spans] == [
        "GET customers", "decision orders", "GET unknown address",
    ]  # fmt: skip
    told = attributes(spans[1])
    assert told.pop("client.address") == "198.51.100.7"
    assert told == {
        "http.request.method": "GET", "http.route": "/v1/**", "http.response.status_code": "200",
        "url.path": "/v1/a", "latchkey.request_id": ids[1], "latchkey.kind": "decision",
        "latchkey.environment": "production", "latchkey.service": "orders",
        "latchkey.key_id": key["id"],
    }  # fmt: skip
    assert 0 < spans[0].end_time_unix_nano - spans[0].start_time_unix_nano < 10**10
    assert {one["service.name"] for one in collector.resources} == {"latchkey"}
    # Whoever called decided that its trace is not sampled.
    assert b"\x11" * 16 not in collector.sent
    assert key["key"].encode() not in collector.sent
    assert b"never" not in collector.sent


def test_a_collector_that_is_away_costs_no_request() -> None:
    where = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9", **SOON}
    with running(Latchkey(**where)) as product:
        for _ in range(20):
            answer = httpx.get(f"{product.url}/api/production/v1/key")
            assert (answer.status_code, answer.elapsed.total_seconds() < 2) == (401, True)


def run(code: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True,
        env={"PATH": os.environ["PATH"], "LATCHKEY_VAR": str(folder), **variables},
    )  # fmt: skip


def test_the_command_of_the_guide_installs_what_is_needed() -> None:
    guide = (ROOT / "docs" / "monitoring.md").read_text()
    (line,) = re.findall(r"^\.venv/bin/pip (.*)$", guide, re.MULTILINE)

    done = subprocess.run(
        [sys.executable, "-m", "pip", *line.split(), "--dry-run"],
        cwd=ROOT, capture_output=True, text=True,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr


def test_nothing_of_it_is_loaded_unless_a_collector_is_named(tmp_path: Path) -> None:
    code = "import config.wsgi, sys; print(any(m.startswith('opentelemetry') for m in sys.modules))"

    off = run(code, tmp_path)
    on = run(code, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:9")

    assert (off.stdout.strip(), on.stdout.strip()) == ("False", "True"), off.stderr + on.stderr


@pytest.mark.parametrize(
    ("address", "says"),
    [
        ("collector:4318", "is no address of a collector"),
        ("http://user:password@collector", "is no address of a collector"),
        ("http://127.0.0.1:4318", "needs packages that are not installed"),
    ],
)
def test_a_wrong_address_and_missing_packages_stop_the_start(
    tmp_path: Path, address: str, says: str
) -> None:
    # As where they are not installed.
    code = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "opentelemetry" else find(name)
import config.settings
"""

    done = run(code, tmp_path, OTEL_EXPORTER_OTLP_ENDPOINT=address)

    assert done.returncode == 1
    assert f"OTEL_EXPORTER_OTLP_ENDPOINT {says}" in done.stderr
    assert "password" not in done.stderr
