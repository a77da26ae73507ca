"""Each framework's service is guarded as Latchkey guards its own API."""

import os
import secrets
import signal
import sqlite3
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import httpx
import pytest

from tests.clients.conftest import Service, call
from tests.support.product import LOTS, Latchkey
from tests.support.servers import running, wait_until

SPELLINGS = ("/health/../v1/orders", "/health%2f..%2fv1/orders", "//v1/orders", "/v1/orders;a")

pytestmark = pytest.mark.client


def test_an_admitted_request_reaches_the_service_with_its_key(
    product: Latchkey, service: Service
) -> None:
    made = product.create_key("--permission", "orders:read", "--permission", "orders:write")

    read = call(service, made["key"])
    written = call(service, headers={"X-API-Key": made["key"]}, method="POST", json={"n": 1})

    assert (read.status_code, read.json()) == (200, {"key": made["id"]})
    assert (written.status_code, written.json()) == (200, {"key": made["id"], "body": {"n": 1}})
    assert read.headers["X-Request-ID"]
    assert read.headers["RateLimit-Policy"].startswith('"minute";q=600;w=60, "hour";')
    assert read.headers["RateLimit"].startswith('"minute";r=599')


def test_the_trace_of_a_request_is_that_of_its_decision(
    product: Latchkey, service: Service
) -> None:
    made = product.create_key("--permission", "orders:read")
    trace = secrets.token_hex(16)
    traced = {"traceparent": f"00-{trace}-b7ad6b7169203331-01"}

    one = call(service, made["key"], headers=traced)
    other = call(service, made["key"], headers={"traceparent": f"{trace} \u00e9".encode()})

    assert (one.status_code, other.status_code) == (200, 200)
    ids = [uuid.UUID(answer.headers["X-Request-ID"]).hex for answer in (one, other)]
    wait_until(lambda: traces(product, ids) == {ids[0]: trace, ids[1]: None}, 20)


def traces(product: Latchkey, ids: list[str]) -> dict[str, str | None]:
    with sqlite3.connect(product.folder / "latchkey.sqlite3") as file:
        marks = ", ".join("?" * len(ids))
        query = f"SELECT id, trace_id FROM logs_requestlog WHERE id IN ({marks})"  # noqa: S608
        return dict(file.execute(query, ids).fetchall())


def test_a_head_request_is_judged_as_one(product: Latchkey, service: Service) -> None:
    made = product.create_key("--permission", "orders:read")

    assert call(service, made["key"], method="HEAD").status_code in {200, 405}
    assert call(service, method="HEAD").status_code == 401


def test_a_public_path_needs_no_key(service: Service) -> None:
    assert call(service, path="/health").json() == {"key": ""}


@contextmanager
def frozen(product: Latchkey) -> Iterator[None]:
    """Have every process of the product stand still."""
    pids = product.processes("")
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)


def refusals(product: Latchkey) -> dict[str, tuple[str, int, list[str]]]:
    """Return for each code a credential, the status, and what the challenge holds."""

    def key(*arguments: str, environment: str = "production") -> str:
        return str(product.create_key(*arguments, environment=environment)["key"])

    revoked = product.create_key("--permission", "orders:read")
    product.manage("revoke_api_key", revoked["id"])
    used_up = key("--permission", "orders:read", "--per-minute", "0")
    invalid = 'error="invalid_token"'
    return {
        "key_missing": ("", 401, ['realm="production"']),
        "key_invalid": ("lk_prod_no", 401, [invalid]),
        "key_revoked": (revoked["key"], 401, [invalid]),
        "environment_mismatch": (key(environment="staging"), 401, [invalid]),
        "permission_denied": (key(), 403, ['error="insufficient_scope"']),
        "address_not_allowed": (
            key("--permission", "orders:read", "--allow", "192.0.2.0/24"),
            403,
            [],
        ),
        "rate_limited": (used_up, 429, []),
    }


def test_each_refusal_is_latchkeys_own(product: Latchkey, service: Service) -> None:
    for code, (credential, status, challenge) in refusals(product).items():
        answer = call(service, credential)
        own = product.caller(credential).get("/api/production/v1/customers") if credential else None

        problem = answer.json()
        assert (answer.status_code, problem["code"]) == (status, code)
        assert answer.headers["Content-Type"] == "application/problem+json"
        assert answer.headers["X-Request-ID"] == problem["request_id"]
        assert all(part in answer.headers["WWW-Authenticate"] for part in challenge)
        assert ("Retry-After" in answer.headers) == (status == 429)
        if own is not None and own.json()["code"] == code:
            same = ("type", "title", "status", "code")
            assert [problem[name] for name in same] == [own.json()[name] for name in same]


def test_two_credentials_are_refused(product: Latchkey, service: Service) -> None:
    made = product.create_key("--permission", "orders:read")

    answer = call(service, made["key"], headers={"X-API-Key": made["key"]})

    assert (answer.status_code, answer.json()["code"]) == (400, "multiple_credentials")


def test_a_revoke_binds_on_the_next_request(product: Latchkey, service: Service) -> None:
    made = product.create_key("--permission", "orders:read")
    before = call(service, made["key"]).status_code

    product.manage("revoke_api_key", made["id"])

    assert (before, call(service, made["key"]).json()["code"]) == (200, "key_revoked")


def test_limits_are_exact(product: Latchkey, service: Service) -> None:
    made = product.create_key("--permission", "orders:read", "--per-minute", "7")

    with ThreadPoolExecutor(8) as pool:
        statuses = [
            answer.status_code
            for answer in pool.map(lambda _: call(service, made["key"]), range(20))
        ]

    assert sorted(statuses) == [200] * 7 + [429] * 13


def test_a_credential_is_in_no_log_of_the_service(product: Latchkey, service: Service) -> None:
    made = product.create_key("--permission", "orders:read")
    product.manage("revoke_api_key", made["id"])

    call(service, made["key"])

    assert made["key"][-38:] not in service.log()


@pytest.mark.parametrize("name", ["fastapi", "flask", "django", "express", "hono"])
def test_a_latchkey_that_is_away_refuses_everything(
    name: str, serve: Callable[..., Service], request: pytest.FixtureRequest
) -> None:
    if name in {"express", "hono"}:
        request.getfixturevalue("typescript")

    with running(serve(name, LATCHKEY_URL="http://127.0.0.1:9")) as service:
        answer = call(service, "lk_prod_anything")
        log = service.log()

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert "lk_prod_anything" not in log


@pytest.mark.parametrize("name", ["fastapi", "flask", "express", "hono"])
def test_a_latchkey_that_is_silent_is_waited_for_one_second(
    name: str,
    serve: Callable[..., Service],
    product: Latchkey,
    request: pytest.FixtureRequest,
) -> None:
    if name in {"express", "hono"}:
        request.getfixturevalue("typescript")
    with running(serve(name)) as service, frozen(product):
        answer = call(service, "lk_prod_anything")

    assert answer.status_code == 503
    assert answer.elapsed.total_seconds() < 5


@pytest.mark.parametrize("name", ["fastapi", "flask", "express"])
def test_an_admission_is_kept_only_where_told(
    name: str, serve: Callable[..., Service], product: Latchkey, request: pytest.FixtureRequest
) -> None:
    if name == "express":
        request.getfixturevalue("typescript")
    made = product.create_key("--permission", "orders:read", *LOTS)

    options = "maxAge: 60" if name == "express" else "max_age=60"

    with running(serve(name, options)) as service:
        first = call(service, made["key"]).status_code
        product.manage("revoke_api_key", made["id"])
        kept = call(service, made["key"]).status_code
        other = call(service, made["key"], method="POST", json={}).status_code

    assert (first, kept, other) == (200, 200, 401)


def test_a_view_that_does_not_say_what_it_needs_is_refused(
    serve: Callable[..., Service], product: Latchkey
) -> None:
    made = product.create_key()

    with running(serve("django")) as service:
        answer = call(service, made["key"], path="/silent")

    assert answer.status_code == 403


def test_a_verifying_key_that_may_not_verify_admits_nothing(
    serve: Callable[..., Service], product: Latchkey
) -> None:
    made, caller = product.create_key(), product.create_key("--permission", "orders:read")

    with running(serve("fastapi", LATCHKEY_KEY=made["key"])) as service:
        answer = call(service, caller["key"])
        log = service.log()

    assert answer.status_code == 503
    assert "permission_denied" in log
    assert made["key"] not in log


def test_no_spelling_of_a_path_gets_around_the_rules(product: Latchkey, service: Service) -> None:
    made = product.create_key("--permission", "orders:read")
    headers = {"Authorization": f"Bearer {made['key']}"}

    with httpx.Client(base_url=service.url, headers=headers) as client:
        for path in (
            "/health/../v1/orders",
            "/health%2f..%2fv1/orders",
            "//v1/orders",
            "/v1/orders;a",
        ):
            target = httpx.Request("POST", service.url, headers=headers, json={})
            target.url = httpx.URL(service.url).copy_with(raw_path=path.encode())
            assert client.send(target).status_code in {400, 403, 404}, path
