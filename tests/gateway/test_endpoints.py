"""What verify and introspect have in common: the edge refuses as Django's view does.

No log keeps the credential that a body holds.
"""

import gzip
import json
import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import LazySettings, settings
from django.db import connection

from apikeys import lifecycle as keys
from apikeys.environments import Environment
from apikeys.guard.parsers import FormParser
from apikeys.lifecycle import IssuedKey
from apikeys.limiter import counters
from apikeys.limits import Rate
from apikeys.models import IdempotentRequest
from apikeys.permissions import Permission
from logs.capture.spool import files
from logs.middleware import spool
from tests.support.api_client import Caller, EdgeCaller, record_of
from tests.support.factories import ACTOR, expire, issue

pytestmark = pytest.mark.django_db

WAYS = (Caller, EdgeCaller)
PATHS = ("keys/verify", "introspect")
# Middleware for pages puts them on what Django answers.
PAGE_HEADERS = {
    "X-Frame-Options", "X-Content-Type-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy",
    "Content-Security-Policy",
}  # fmt: skip
# Different in each request, or for each key.
OWN = {
    "id",
    "at",
    "key",
    "duration",
    "phases",
    "response_headers",
    "address",
    "request_bytes",
    "caller",
}


def body_of(path: str, credential: str) -> tuple[bytes, str]:
    """Return a body that holds a credential, and its type."""
    if path == "introspect":
        return urlencode({"token": credential}).encode(), FormParser.media_type
    return json.dumps({"key": credential}).encode(), "application/json"


def caller_key(**fields: Any) -> IssuedKey:
    return issue(permissions=[Permission.KEYS_VERIFY], **fields)


# Each is refused so: what to send with, and what else than a good body.
REFUSED: dict[str, dict[str, Any]] = {
    "key_missing": {"credential": None},
    "key_invalid": {"credential": "lk_prod_x"},
    "key_revoked": {"act": lambda issued: keys.revoke(issued.key, actor=ACTOR)},
    "key_expired": {"act": lambda issued: expire(issued.key)},
    "environment_mismatch": {"environment": Environment.STAGING},
    "multiple_credentials": {"meta": {"HTTP_X_API_KEY": "x"}},
    "address_not_allowed": {
        "key": {"networks": ["203.0.113.0/24"]},
        "meta": {"REMOTE_ADDR": "198.51.100.9"},
    },
    "rate_limited": {"key": {"limit_minute": 0}},
    "permission_denied": {"permissions": ["customers:read"]},
    "not_acceptable": {"meta": {"HTTP_ACCEPT": "text/html"}},
    "unsupported_media_type": {"content_type": "text/plain"},
    "unsupported_media_type coding": {"meta": {"HTTP_CONTENT_ENCODING": "gzip"}},
    "body_too_large": {"body": b"x" * (1 << 20) + b"x"},
    "malformed_body": {"body": b"{"},
    "malformed_body utf-8": {"body": b"token=\xff"},
    "validation_failed": {"body": b""},
    "validation_failed query": {"meta": {"QUERY_STRING": "a=b"}},
    "validation_failed host": {"meta": {"HTTP_HOST": "evil.example"}},
    "not_found": {"suffix": "/"},
    "method_not_allowed": {"method": "PUT"},
    "method_not_allowed get": {"method": "GET"},
    "": {},
    " accept": {"meta": {"HTTP_ACCEPT": "application/json;q=0.9, text/html"}},
    " options": {"method": "OPTIONS"},
}


def send(kind: type[Caller], path: str, case: dict[str, Any]) -> Any:
    issued = issue(
        permissions=case.get("permissions", [Permission.KEYS_VERIFY]),
        environment=case.get("environment", Environment.PRODUCTION),
        **case.get("key", {}),
    )
    case.get("act", lambda _: None)(issued)
    body, content_type = body_of(path, "lk_prod_nonsense")
    return kind(case.get("credential", issued)).call(
        case.get("method", "POST"),
        path + case.get("suffix", ""),
        case.get("body", body),
        **{"content_type": case.get("content_type", content_type), **case.get("meta", {})},
    )


def comparable(answer: Any) -> dict[str, Any]:
    """Return what has to be the same by both ways."""
    content = json.loads(answer.content) if answer.content else {}
    content.pop("request_id", None)
    record = record_of(answer)._asdict()
    kept = json.loads(record["response_body"] or "{}")
    kept.pop("request_id", None)
    return {
        "status": answer.status_code,
        "content": content,
        "headers": {
            name: text
            for name, text in answer.headers.items()
            if name not in PAGE_HEADERS | {"X-Request-ID"}
        },
        "kept": kept,
        "caller": record["caller"] is not None,
        "key": record["key"] is not None,
        "sent": set(record.pop("request_headers")),
        "answered": set(record["response_headers"]) - PAGE_HEADERS - {"Content-Length"},
        **{name: value for name, value in record.items() if name not in OWN | {"response_body"}},
    }


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("code", REFUSED)
def test_the_edge_answers_as_the_view_does(path: str, code: str) -> None:
    by_view, by_edge = (comparable(send(kind, path, REFUSED[code])) for kind in WAYS)

    assert by_edge == by_view
    assert by_edge["content"].get("code", "") in {code.partition(" ")[0], "key_invalid"}


@pytest.mark.parametrize("path", PATHS)
def test_callers_that_fail_are_limited_alike(path: str, settings: LazySettings) -> None:
    settings.AUTH_FAILURE_LIMIT = Rate(1, 60)
    for kind in WAYS:
        caller = kind("lk_prod_x")
        body, content_type = body_of(path, "x")

        told = [caller.post(path, body, content_type=content_type) for _ in range(2)]

        assert [answer.json()["code"] for answer in told] == ["key_invalid", "too_many_failures"]
        assert int(told[1]["Retry-After"]) > 0


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", WAYS)
def test_a_full_spool_is_503_and_nothing_is_counted(
    path: str, kind: type[Caller], monkeypatch: Any
) -> None:
    caller = kind(caller_key())
    presented = issue()
    body, content_type = body_of(path, presented.credential)
    monkeypatch.setattr(spool(), "_max_bytes", 0)
    monkeypatch.setattr(spool(), "_measure_at", 0.0)

    refused = caller.post(path, body, content_type=content_type)

    monkeypatch.undo()
    spool()._measure_at = 0.0
    passed = caller.post(path, body, content_type=content_type)
    assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
    assert int(refused["Retry-After"]) > 0
    assert passed["RateLimit"].startswith('"minute";r=599;')


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("table", ["apikeys_apikey", "apikeys_secretversion"])
@pytest.mark.parametrize("kind", WAYS)
def test_a_database_that_fails_is_503_and_on_record(
    path: str, table: str, kind: type[Caller]
) -> None:
    caller = kind(caller_key())
    body, content_type = body_of(path, issue().credential)
    with connection.cursor() as cursor:
        cursor.execute(f"ALTER TABLE {table} RENAME TO gone")

    answer = caller.post(path, body, content_type=content_type)

    assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
    assert record_of(answer).status == 503


SPOILED: dict[str, Callable[[str], Any]] = {
    "whole": lambda credential: {"key": credential},
    "cut": lambda credential: {"key": credential[:-9]},
    "longer": lambda credential: {"key": f"{credential}{credential[-9:]}"},
    "as a name": lambda credential: {"key": "x", credential: 1},
    "as a permission": lambda credential: {"key": "x", "permission": credential},
    "as a service": lambda credential: {
        "key": "x", "service": credential, "method": "GET", "path": "/",
    },
    "as a method": lambda credential: {
        "key": "x", "service": "orders", "method": credential, "path": "/",
    },
    "as an address": lambda credential: {"key": "x", "address": credential},
    "as a cost": lambda credential: {"key": "x", "cost": credential},
    "in a list": lambda credential: [credential],
    "alone": lambda credential: credential,
}  # fmt: skip


def bodies(credential: str) -> list[tuple[bytes, str]]:
    """Return bodies of many forms that hold the credential."""
    whole = json.dumps({"key": credential}).encode()
    form = urlencode({"token": credential}).encode()
    made = [
        (json.dumps(make(credential)).encode(), "application/json") for make in SPOILED.values()
    ]
    twice = f'{{"key": "x", "{credential}": 1, "{credential}": 2}}'.encode()
    made += [
        (text, kind)
        for kind in ("application/json", FormParser.media_type, "text/plain", "")
        for text in (
            whole, whole[:-1], whole[:-12], b"[" * 70 + whole, whole + whole, twice,
            whole.replace(b"_", b"\\u005f"), whole + b"\xff", f"key={credential}\n".encode(),
            form, form[:-12], form + b"&" + form, form + b"&x=y", form.replace(b"_", b"%5f"),
            credential.encode(), f"{credential}={credential}".encode(),
        )
    ]  # fmt: skip
    return made


@pytest.mark.parametrize("kind", WAYS)
def test_a_presented_credential_is_kept_nowhere(
    kind: type[Caller], caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    presented = issue()
    secret = presented.credential.rpartition("_")[2]
    credentials = (caller_key(), issue(), issue(limit_minute=0), "lk_prod_x", None)
    answers = []

    for issued in credentials:
        for path in PATHS:
            for body, content_type in bodies(presented.credential):
                more = {"HTTP_IDEMPOTENCY_KEY": "one"} if len(body) % 2 else {}
                answers.append(kind(issued).post(path, body, content_type=content_type, **more))
    caller = kind(credentials[0])
    for path in PATHS:
        body, content_type = body_of(path, presented.credential)
        answers += [
            caller.call(method, path, body, content_type=content_type)
            for method in ("PUT", "PATCH", "DELETE", "GET", "OPTIONS")
        ]
        coded = {"content_type": content_type, "HTTP_CONTENT_ENCODING": "gzip"}
        answers.append(caller.post(path, gzip.compress(body), **coded))
        answers.append(caller.post(f"{path}?key={presented.credential}", body))
    stored = list(IdempotentRequest.objects.values())
    # A defect, and its traceback in the log of the process.
    monkeypatch.setattr(counters(), "hit", None)
    answers.append(caller.post("keys/verify", {"key": presented.credential}))

    records = [record_of(answer) for answer in answers[-20:]]
    texts = [path.read_text() for path in files(settings.LOG_SPOOL)]
    texts += [answer.content.decode() + str(answer.headers) for answer in answers]
    texts += [caplog.text, str(stored)]
    assert {200, 400, 401, 403, 405, 415, 429} <= {answer.status_code for answer in answers}
    assert any("***" in text for text in texts)
    assert {record.request_body for record in records} == {""}
    for length in (8, len(secret)):
        assert not [text for text in texts if secret[:length] in text]
