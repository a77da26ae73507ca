"""Lines of the process's log: in JSON, and one for each request."""

import json
import logging
from http.client import HTTPConnection
from time import monotonic
from typing import Any

import pytest

from apikeys import credentials
from apikeys.environments import Environment
from config.log_config import JSONFormatter, MaskingFormatter
from config.server import request_lines
from config.server.environ import environ_of
from tests.support.product import Latchkey
from tests.support.servers import running

SECRET = "0123456789abcdefghijABCDEFGHIJzZ"
CREDENTIAL = credentials.compose("lk", Environment.PRODUCTION, "A1b2C3d4E5f6", SECRET)
TRACE = "0af7651916cd43dd8448eb211c80319c"


def line_of(caplog: pytest.LogCaptureFixture, path: str, *headers: tuple[str, str]) -> Any:
    """Have a request told; return what a line of JSON says of it."""
    caplog.clear()
    scope = {
        "method": "GET", "raw_path": path.encode(), "query_string": b"token=never-told",
        "http_version": "1.1", "scheme": "http", "server": ("latchkey", "80"),
        "client": ("203.0.113.9", 1), "headers": [(n.encode(), v.encode()) for n, v in headers],
    }  # fmt: skip
    environ = environ_of(scope, None, 0, monotonic())
    with caplog.at_level(logging.INFO, "latchkey.requests"):
        request_lines.write(environ, 200, [(b"X-Request-ID", b"the-id")])
    (record,) = caplog.records
    assert "never-told" not in MaskingFormatter().format(record)
    return json.loads(JSONFormatter().format(record))


@pytest.fixture(autouse=True)
def asked_for(settings: Any) -> None:
    settings.LOG_REQUESTS = True


def test_a_line_names_the_request_its_answer_and_its_trace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    line = line_of(caplog, "/api/x", ("traceparent", f"00-{TRACE}-b7ad6b7169203331-01"))

    assert 0 <= line.pop("milliseconds") < 1000
    assert line.pop("time").endswith("Z")
    assert line.pop("message").startswith("request the-id: GET /api/x 200 in ")
    assert line == {
        "level": "INFO", "logger": "latchkey.requests", "request_id": "the-id", "method": "GET",
        "path": "/api/x", "status": 200, "address": "203.0.113.9", "trace_id": TRACE,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (f"/api/production/v1/{CREDENTIAL}", "/api/production/v1/lk_prod_A1b2C3d4E5f6_***"),
        ("/handover/secret-of-a-link", "/handover/***"),
        ("/%68andover/secret-of-a-link/x", "/handover/***/x"),
        ("/handover%2Fsecret-of-a-link", "/handover/***"),
        ("/handover//secret-of-a-link", "/handover//***"),
        ("/a%0Ab", "/a\\x0ab"),
        ("/%ff", "/\ufffd"),
    ],
)
def test_no_line_holds_a_secret_or_another_line(
    caplog: pytest.LogCaptureFixture, path: str, told: str
) -> None:
    assert line_of(caplog, path)["path"] == told


def test_nothing_is_told_unless_asked_for(caplog: pytest.LogCaptureFixture, settings: Any) -> None:
    settings.LOG_REQUESTS = False

    with pytest.raises(ValueError, match="not enough values"):
        line_of(caplog, "/api/x")


def test_a_credential_at_the_beginning_of_a_line_is_masked_in_json_too() -> None:
    try:
        raise RuntimeError(f"first\n{CREDENTIAL}")
    except RuntimeError as error:
        info = (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", 40, "", 1, "first\n%s", (CREDENTIAL,), info)

    text = JSONFormatter().format(record)

    assert SECRET[:4] not in text
    line = json.loads(text)
    assert line["message"] == "first\nlk_prod_A1b2C3d4E5f6_***"
    assert "RuntimeError" in line["exception"]
    assert "\n" not in text


def test_every_request_of_the_product_gets_one_line_and_every_line_is_json() -> None:
    with running(Latchkey(LOG_FORMAT="json", LOG_REQUESTS="on")) as product:
        key = product.create_key()["key"]
        with product.caller(key) as caller:
            paths = ("/api/production/v1/key", "/admin/login/", "/static/latchkey/favicon.svg")
            ids = {caller.get(path).headers["X-Request-ID"] for path in paths}
            # Answered before Django, and by the edge alone.
            ids |= {caller.get("/auth/production/none").headers["X-Request-ID"]}
            connection = HTTPConnection("127.0.0.1", product.port, timeout=10)
            connection.request("POST", "/admin/login/", headers={"Content-Length": "99999999"})
            ids |= {connection.getresponse().headers["X-Request-ID"]}
            connection.close()

        text = product.log.read_text()

    lines = [json.loads(line) for line in text.splitlines() if not line.startswith("Serving on")]
    told = [line["request_id"] for line in lines if line["logger"] == "latchkey.requests"]
    assert {one: told.count(one) for one in ids} == dict.fromkeys(ids, 1)
    assert key not in text
