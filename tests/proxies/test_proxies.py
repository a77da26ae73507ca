"""Every proxy, run as the guide says: what it passes on, refuses, and leaves out."""

import posixpath
import re
import secrets
import socket
import sqlite3
import threading
import time
import unicodedata
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from tests.proxies.conftest import Guarded
from tests.proxies.programs import PROXIES, Proxy
from tests.proxies.servers import Application, Line, Received
from tests.support.load import Answer, Connection, at_once
from tests.support.product import LOTS, Latchkey
from tests.support.servers import running, wait_until

pytestmark = pytest.mark.proxy

# Those that ask for a decision, and not for a token's state.
DECIDED = pytest.mark.parametrize(
    "guarded", [name for name, can in PROXIES.items() if can.asks_for_decisions], indirect=True
)
IDENTITY = ("Key-Id", "Environment", "Permission", "Customers")
# A CGI or WSGI application reads each of these as X-Latchkey-Key-Id (GHSA-x677-9fxg-v5c5,
# GHSA-rf44-j88r-hh8c, GHSA-f59h-q822-g45g).
ALIASES = (
    *(f"X-Latchkey-{field}" for field in IDENTITY),
    "x-latchkey-key-id",
    "X_Latchkey_Key_Id",
    "X-Latchkey_Key-Id",
    "X.Latchkey.Key.Id",
    "X-Latchkey-Key.Id",
    "X~Latchkey~Customers",
    "X!Latchkey+Permission",
)
FORGED = [(name, "forged") for name in ALIASES]


def identity(received: Received) -> dict[str, str]:
    """Return the identity as a CGI application would read it, and refuse to guess."""
    fields: dict[str, str] = {}
    for name, value in received.headers:
        variable = re.sub(r"[^A-Z0-9]", "_", name.upper())
        if variable.startswith("X_LATCHKEY_"):
            assert variable not in fields, received.headers
            fields[variable] = value
    return fields


def assert_problem(response: httpx.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/problem+json"
    body = response.json()
    assert (body["status"], body["code"]) == (status, code)


def test_an_admitted_request_tells_who_calls_and_not_the_credential(guarded: Guarded) -> None:
    reader = guarded.keys["reader"]

    response, received = guarded.send("GET", "/v1/a%20b?x=%2F&y", reader["key"])

    assert (response.status_code, response.json()) == (200, {"target": "/v1/a%20b?x=%2F&y"})
    (request,) = received
    assert request.header("X-Latchkey-Key-Id") == reader["id"]
    assert request.header("X-Latchkey-Environment") == "production"
    assert request.header("Authorization") is None
    assert reader["key"] not in str(request)
    if guarded.proxy.can.asks_for_decisions:
        assert request.header("X-Latchkey-Permission") == "orders:read"
        assert request.header("X-Latchkey-Customers") == "all"
        assert re.fullmatch(r"[!-~]{8,}", request.header("X-Request-ID") or "")


@DECIDED
def test_a_trace_reaches_the_application_and_the_record(guarded: Guarded) -> None:
    trace = secrets.token_hex(16)
    headers = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}

    response, (request,) = guarded.send(
        "GET", "/v1", guarded.keys["reader"]["key"], headers=headers
    )

    assert response.status_code == 200
    assert trace in (request.header("traceparent") or "")
    wait_until(lambda: service_of(guarded.product, trace) == [("orders",)], 20)


def service_of(product: Latchkey, trace: str) -> list[Any]:
    """Return the services of the decisions on record that are part of a trace."""
    with sqlite3.connect(product.folder / "latchkey.sqlite3") as file:
        query = "SELECT service FROM logs_requestlog WHERE trace_id = ?"
        return file.execute(query, (trace,)).fetchall()


@DECIDED
def test_the_other_header_of_a_credential_stops_at_the_proxy_too(guarded: Guarded) -> None:
    reader = guarded.keys["reader"]

    response, (request,) = guarded.send("GET", "/v1", headers={"X-API-Key": reader["key"]})

    assert response.status_code == 200
    assert request.header("X-Latchkey-Key-Id") == reader["id"]
    assert reader["key"] not in str(request)


@DECIDED
def test_two_credentials_are_refused(guarded: Guarded) -> None:
    key = guarded.keys["reader"]["key"]

    both, reached = guarded.send("GET", "/v1", key, headers={"X-API-Key": key})
    twice, reached_too = guarded.send("GET", "/v1", headers=[("X-API-Key", key)] * 2)

    assert_problem(both, 400, "multiple_credentials")
    assert_problem(twice, 400, "multiple_credentials")
    assert not reached + reached_too


def test_a_request_without_a_key_is_refused(guarded: Guarded) -> None:
    response, received = guarded.send("GET", "/v1")

    code = "key_missing" if guarded.proxy.can.asks_for_decisions else "key_invalid"
    assert_problem(response, 401, code)
    assert response.headers.get_list("WWW-Authenticate")[0].startswith("Bearer ")
    assert len(response.headers.get_list("WWW-Authenticate")) == 1
    assert not received


def test_a_wrong_key_is_refused(guarded: Guarded) -> None:
    response, received = guarded.send("GET", "/v1", guarded.keys["reader"]["key"][:-1] + "!")

    assert_problem(response, 401, "key_invalid")
    assert 'error="invalid_token"' in response.headers["WWW-Authenticate"]
    assert not received


@pytest.mark.parametrize(
    ("method", "path", "key"),
    [("GET", "/v1", "stranger"), ("POST", "/v1", "reader"), ("GET", "/admin/x", "writer")],
)
def test_a_key_without_the_permission_is_refused(
    guarded: Guarded, method: str, path: str, key: str
) -> None:
    response, received = guarded.send(method, path, guarded.keys[key]["key"])

    assert_problem(response, 403, "permission_denied")
    if guarded.proxy.can.asks_for_decisions:
        assert 'error="insufficient_scope"' in response.headers["WWW-Authenticate"]
        assert response.json()["required_permission"].startswith("orders:")
    assert not received


@DECIDED
def test_a_key_whose_limit_is_used_up_learns_when_to_come_back(guarded: Guarded) -> None:
    response, received = guarded.send("GET", "/v1", guarded.keys["spent"]["key"])

    assert_problem(response, 429, "rate_limited")
    assert int(response.headers["Retry-After"]) > 0
    assert response.headers["RateLimit"].startswith('"minute";r=0;')
    assert response.headers["RateLimit-Policy"].startswith('"minute";q=0;w=60')
    assert (response.headers["X-RateLimit-Limit"], response.headers["X-RateLimit-Remaining"]) == (
        "0",
        "0",
    )
    assert int(response.headers["X-RateLimit-Reset"]) >= int(response.headers["Retry-After"])
    assert response.headers["X-Request-ID"] == response.json()["request_id"]
    assert not received


def test_an_admitted_answer_shows_what_is_left_where_the_proxy_can(guarded: Guarded) -> None:
    response, _ = guarded.send("GET", "/v1", guarded.keys["reader"]["key"])

    assert ("RateLimit" in response.headers) is guarded.proxy.can.shows_decision
    assert ("RateLimit-Policy" in response.headers) is guarded.proxy.can.shows_decision
    for name in ("Limit", "Remaining", "Reset"):
        shown = response.headers.get_list(f"X-RateLimit-{name}")
        assert len(shown) == guarded.proxy.can.shows_decision, name


@pytest.mark.parametrize(("path", "own"), [("/v1", []), ("/own-id", ["own"])])
def test_an_admitted_answer_names_the_decision_where_the_proxy_can(
    guarded: Guarded, path: str, own: list[str]
) -> None:
    response, (request,) = guarded.send("GET", path, guarded.keys["reader"]["key"])

    decision = [request.header("X-Request-ID")]
    shown = decision if guarded.proxy.can.shows_decision else own
    assert response.headers.get_list("X-Request-ID") == shown


@DECIDED
def test_a_key_for_many_customers_is_told_whole(
    guarded: Guarded, many_customers: dict[str, Any]
) -> None:
    _, (request,) = guarded.send("GET", "/v1", many_customers["key"])

    told = request.header("X-Latchkey-Customers") or ""
    assert len(told) > 11_000
    assert sorted(told.split(",")) == sorted(many_customers["customers"])


@DECIDED
def test_a_public_path_needs_no_key_and_names_nobody(guarded: Guarded) -> None:
    response, (request,) = guarded.send("GET", "/public/x", headers=FORGED)

    assert response.status_code == 200
    assert set(identity(request).values()) <= {""}
    assert not response.headers.get("RateLimit")


def test_forged_identities_do_not_survive(guarded: Guarded) -> None:
    reader = guarded.keys["reader"]

    _, (request,) = guarded.send("GET", "/v1", reader["key"], headers=FORGED)
    refused, received = guarded.send("POST", "/v1", reader["key"], headers=FORGED)

    seen = identity(request)
    assert seen["X_LATCHKEY_KEY_ID"] == reader["id"]
    assert "forged" not in seen.values()
    assert (refused.status_code, received) == (403, [])
    assert "forged" not in str(refused.headers)


@pytest.mark.parametrize(
    "connection",
    [
        *(f"X-Latchkey-{field}" for field in IDENTITY),
        "keep-alive, X-Request-ID,x-latchkey-key-ID,\tX-LATCHKEY-CUSTOMERS , x-other",
    ],
)
def test_a_client_cannot_have_the_identity_removed(guarded: Guarded, connection: str) -> None:
    reader = guarded.keys["reader"]

    _, (usual,) = guarded.send("GET", "/v1", reader["key"])
    _, (request,) = guarded.send("GET", "/v1", reader["key"], headers={"Connection": connection})

    assert identity(request).keys() == identity(usual).keys()
    assert identity(request)["X_LATCHKEY_KEY_ID"] == reader["id"]
    assert (request.header("X-Request-ID") is None) == (usual.header("X-Request-ID") is None)
    # Nor by a server between the proxy and the application.
    assert "latchkey" not in (request.header("Connection") or "").lower()


@pytest.mark.parametrize("protocols", [["h2c"], ["H2C", "websocket"], ["websocket, h2c"]])
def test_no_connection_becomes_one_for_requests_that_nobody_judges(
    guarded: Guarded, protocols: list[str]
) -> None:
    headers = [
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("HTTP2-Settings", "AAMAAABkAARAAAAAAAIAAAAA"),
        *(("Upgrade", protocol) for protocol in protocols),
    ]

    response, received = guarded.send("GET", "/v1", guarded.keys["reader"]["key"], headers=headers)

    assert not any("h2c" in str(request.headers).lower() for request in received)
    assert received or response.status_code in {400, 403}


@DECIDED
@pytest.mark.parametrize(
    "forged",
    [
        {"X-Forwarded-Method": "GET"},
        {"X-Forwarded-Uri": "/public/x"},
        {"X_Forwarded_Method": "GET", "X_Forwarded_Uri": "/public/x"},
        {"X.Forwarded.Method": "GET", "X.Forwarded.Uri": "/public/x"},
        {"X-Original-Uri": "/public/x", "X-Original-Method": "GET"},
        {"X-Forwarded-Prefix": "/public", "X-Forwarded-Path": "/public/x"},
        {"Forwarded": 'for=127.0.0.1;host="a";proto=http', "X-Rewrite-Url": "/public/x"},
        {"X-HTTP-Method-Override": "GET"},
    ],
)
def test_what_is_judged_is_not_the_clients_to_say(guarded: Guarded, forged: dict[str, str]) -> None:
    response, received = guarded.send("POST", "/v1", guarded.keys["reader"]["key"], headers=forged)

    assert response.status_code in {400, 403}
    assert not received


@DECIDED
def test_latchkey_is_told_the_address_of_the_client(guarded: Guarded) -> None:
    key = guarded.keys["anywhere" if guarded.proxy.name == "Envoy" else "here"]["key"]

    assert guarded.send("GET", "/v1", key)[0].status_code == 200


@DECIDED
@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Real-IP", "X_Forwarded_For", "Forwarded"])
def test_a_client_cannot_choose_its_address(guarded: Guarded, name: str) -> None:
    response, received = guarded.send(
        "GET", "/v1", guarded.keys["elsewhere"]["key"], headers={name: "203.0.113.9"}
    )

    assert_problem(response, 403, "address_not_allowed")
    assert not received


# Heimdall's GHSA-3q34-rx83-r6mq and GHSA-43jv-5j4x-qv67, Traefik's CVE-2026-48020 and -40912,
# Caddy's GHSA-m8m5-v4jf-3wcm, and their kin. Each may be read as a path below /admin.
TRICKS = (
    "/v1/../admin/x",
    "/v1/%2e%2e/admin/x",
    "/v1/%2E%2E/admin/x",
    "/v1/.%2e/admin/x",
    "/v1/..%2fadmin/x",
    "/v1/%2e%2e%2fadmin/x",
    "/v1%2f..%2fadmin/x",
    "/v1/..%5cadmin/x",
    "/v1/..\\admin\\x",
    "/v1/..;/admin/x",
    "/v1;/../admin/x",
    "/;a/admin/x",
    "/admin;x/x",
    "/admin%3bx/x",
    "//admin/x",
    "/.//admin/x",
    "/./admin/x",
    "/%2fadmin/x",
    "/%5cadmin/x",
    "/%61dmin/x",
    "/%2561dmin/x",
    "/v1/%252e%252e/admin/x",
    "/v1/%c0%ae%c0%ae/admin/x",
    "/v1/%e2%80%a5/admin/x",
    "/admin%00/x",
    "/admin/x#/v1",
    "/v1#/../admin/x",
    "/v1/..?/../admin/x",
    "/v1/../admin/x?x=/v1",
    "/public/../admin/x",
    "/public/..%2fadmin/x",
    "http://elsewhere.example/admin/x",
    "http://elsewhere.example//admin/x",
    "http://elsewhere.example/public/../admin/x",
    "admin/x",
    "*",
)


def may_be_read_as_admin(target: str) -> bool:
    """Say whether a careless application may find /admin in a request target."""
    path = re.sub(r"\A\w+://[^/?#]*", "", target)
    for _ in range(3):
        path = unicodedata.normalize("NFKC", unquote(path.partition("?")[0]))
    path = path.partition("#")[0].replace("\\", "/").replace("\x00", "")
    readings = (path, re.sub(r";[^/]*", "", path))
    return any(
        re.sub("//+", "/", posixpath.normpath(f"/{reading}")).lower().startswith("/admin")
        for reading in readings
    )


@pytest.mark.parametrize("target", TRICKS)
def test_no_spelling_of_a_path_reaches_what_the_key_may_not(guarded: Guarded, target: str) -> None:
    before = len(guarded.application.received)
    credential = guarded.keys["writer"]["key"]
    head = f"GET {target} HTTP/1.1\r\nHost: a.example\r\nAuthorization: Bearer {credential}\r\n"

    with socket.create_connection(("127.0.0.1", guarded.proxy.port), timeout=20) as connection:
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))

    status = int(answer.split(b" ", 2)[1])
    reached = guarded.application.received[before:]
    assert not any(may_be_read_as_admin(request.target) for request in reached), reached
    assert 400 <= status < 500 or (status == 200 and len(reached) == 1)


@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 503])
def test_what_the_application_answers_is_passed_on(guarded: Guarded, status: int) -> None:
    path = f"/answers/{status}"

    response, _ = guarded.send("GET", path, guarded.keys["reader"]["key"])

    assert (response.status_code, response.json()) == (status, {"target": path})
    assert response.headers["Content-Type"] == "application/json"
    assert "WWW-Authenticate" not in response.headers
    assert "Retry-After" not in response.headers


def chunks(body: bytes) -> list[bytes]:
    return [body[start : start + 50_000] for start in range(0, len(body), 50_000)]


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_arrives_untouched(guarded: Guarded, is_chunked: bool) -> None:
    body = bytes(range(256)) * 4_000
    content = iter(chunks(body)) if is_chunked else body

    response, (request,) = guarded.send(
        "POST", "/v1", guarded.keys["writer"]["key"], content=content
    )

    assert response.status_code == 200
    assert request.body == body


@pytest.mark.parametrize("is_announced", [True, False])
def test_what_follows_a_body_arrives_only_behind_haproxy(
    guarded: Guarded, is_announced: bool
) -> None:
    before = len(guarded.application.received)
    writer, names = guarded.keys["writer"], ("X-Latchkey-Key-Id", "X_Latchkey_Customers")
    announced = f"Trailer: {', '.join(names)}\r\n" if is_announced else ""
    head = (
        "POST /v1 HTTP/1.1\r\nHost: a.example\r\nConnection: TE, close\r\nTE: trailers\r\n"
        f"Transfer-Encoding: chunked\r\n{announced}Authorization: Bearer {writer['key']}\r\n\r\n"
    )
    trailers = "".join(f"{name}: forged\r\n" for name in names)

    with socket.create_connection(("127.0.0.1", guarded.proxy.port), timeout=20) as connection:
        connection.sendall(f"{head}1\r\nx\r\n0\r\n{trailers}\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65_536), b""))

    (request,) = guarded.application.received[before:]
    assert answer.startswith(b"HTTP/1.1 200 ")
    assert request.body == b"x"
    assert identity(request)["X_LATCHKEY_KEY_ID"] == writer["id"]
    assert "forged" not in identity(request).values()
    assert (b"forged" in request.trailers) is guarded.proxy.can.passes_trailers


@pytest.mark.parametrize("guarded", ["Traefik", "Caddy", "HAProxy"], indirect=True)
def test_a_websocket_is_judged_when_it_is_opened(guarded: Guarded) -> None:
    made = guarded.product.create_key("--permission", "orders:read", *LOTS)
    upgrade = (
        "GET /v1 HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
    )

    def opened(credential: str) -> tuple[socket.socket, bytes]:
        connection = socket.create_connection(("127.0.0.1", guarded.proxy.port), timeout=20)
        connection.sendall(f"{upgrade}Authorization: Bearer {credential}\r\n\r\n".encode())
        return connection, connection.recv(65_536).split(b"\r\n")[0]

    connection, admitted = opened(made["key"])
    guarded.product.manage("revoke_api_key", made["id"])
    connection.sendall(b"still here")
    echoed = connection.recv(100)
    other, refused = opened(made["key"])
    connection.close()
    other.close()

    assert b" 101 " in admitted
    assert echoed == b"still here"
    assert b" 401 " in refused


def test_head_and_options_are_answered(guarded: Guarded) -> None:
    key = guarded.keys["reader"]["key"]

    head, received_head = guarded.send("HEAD", "/v1", key)
    options, received_options = guarded.send("OPTIONS", "/v1", key)
    refused, _ = guarded.send("HEAD", "/v1", guarded.keys["stranger"]["key"])

    assert (head.status_code, options.status_code, refused.status_code) == (200, 200, 403)
    assert [request.method for request in (*received_head, *received_options)] == [
        "HEAD",
        "OPTIONS",
    ]


def test_connections_to_latchkey_are_kept(guarded: Guarded) -> None:
    before = guarded.line.connections

    with guarded.client(guarded.keys["reader"]["key"]) as client:
        statuses = {client.get("/v1").status_code for _ in range(200)}

    assert statuses == {200}
    assert guarded.line.connections - before <= guarded.proxy.can.connections


def refuses_everything(guarded: Guarded) -> tuple[httpx.Response, float]:
    """Send what would be admitted; return the answer and how long it took."""
    began = time.monotonic()
    response, received = guarded.send("GET", "/v1", guarded.keys["reader"]["key"])
    assert not received
    return response, time.monotonic() - began


def admits_again(guarded: Guarded) -> bool:
    return guarded.send("GET", "/v1", guarded.keys["reader"]["key"])[0].status_code == 200


def test_without_latchkey_nothing_passes(guarded: Guarded) -> None:
    with guarded.line.cut():
        response, seconds = refuses_everything(guarded)

    assert response.status_code == guarded.proxy.can.down_status
    assert seconds < 5
    if guarded.proxy.can.down_is_problem:
        assert_problem(response, 503, "unavailable")
        assert int(response.headers["Retry-After"]) > 0
    wait_until(lambda: admits_again(guarded), 10)


def test_while_latchkey_is_silent_nothing_passes(guarded: Guarded) -> None:
    with guarded.line.silent():
        response, seconds = refuses_everything(guarded)

    assert response.status_code == guarded.proxy.can.down_status
    assert seconds < guarded.proxy.can.silence_seconds
    wait_until(lambda: admits_again(guarded), 10)


def test_haproxy_refuses_when_the_lua_action_fails(product: Latchkey, keys: dict[str, Any]) -> None:
    with Application() as application, Line(product.port) as line:
        proxy = Proxy("HAProxy", product, latchkey=line.port, application=application.port)
        proxy.prepare()
        (action,) = proxy.folder.rglob("latchkey.lua")
        action.write_text(action.read_text().replace("core.httpclient()", "core.none()"))
        with running(proxy):
            response = httpx.get(proxy.url, headers={"X-API-Key": keys["reader"]["key"]})

    assert response.status_code == 503
    assert not application.received


def test_nothing_is_admitted_that_started_after_a_revoke_was_answered(guarded: Guarded) -> None:
    # With an expiry: until then Apache's module would keep the answer.
    made = guarded.product.create_key("--permission", "orders:read", "--expires", "30d", *LOTS)
    stopping = threading.Event()
    answered_at: list[float] = []

    def call(_: int) -> list[Answer]:
        connection, answers = Connection(guarded.proxy.url, made["key"]), []
        while not stopping.is_set():
            answers.append(connection.send("GET", "/v1"))
        connection.close()
        return answers

    def revoke() -> None:
        time.sleep(0.3)
        done = guarded.product.manage("revoke_api_key", made["id"])
        answered_at.append(time.monotonic())
        assert done.returncode == 0, done.stderr
        time.sleep(0.6)
        stopping.set()

    answers = at_once(8, call, alongside=revoke)

    after = [answer.status for answer in answers if answer.began > answered_at[0]]
    assert len(after) > 20
    assert set(after) == {401}
    assert 200 in {answer.status for answer in answers}
