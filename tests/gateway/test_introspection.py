"""Token introspection (RFC 7662), at the edge and by Django's view."""

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from apikeys import lifecycle as keys
from apikeys.environments import Environment
from apikeys.guard import throttling
from apikeys.permissions import Permission
from tests.support.api_client import Caller, EdgeCaller, record_of
from tests.support.factories import ACTOR, expire, issue

pytestmark = pytest.mark.django_db

FORM = "application/x-www-form-urlencoded"
INACTIVE = {"active": False}


@pytest.fixture(params=[Caller, EdgeCaller])
def caller(request: pytest.FixtureRequest) -> Caller:
    """A caller that may introspect, by each way."""
    made: Caller = request.param(issue(permissions=[Permission.KEYS_VERIFY]))
    return made


def ask(caller: Caller, token: str, **fields: str) -> Any:
    body = urlencode({"token": token, **fields}).encode()
    return caller.post("introspect", body, content_type=FORM)


def test_a_good_credential_is_described(caller: Caller) -> None:
    issued = issue(
        permissions=["customers:read", "licenses:read"],
        expires_at=datetime(2999, 1, 31, tzinfo=UTC),
    )
    key = issued.key

    answer = ask(caller, issued.credential, token_type_hint="access_token")

    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    # Django's middleware puts it on every answer of its own.
    assert ("X-Frame-Options" in answer) == (type(caller) is Caller)
    assert answer.json() == {
        "active": True,
        "scope": "customers:read licenses:read",
        "client_id": key.pk,
        "username": key.name,
        "token_type": "Bearer",
        "exp": 32_474_736_000,
        "iat": int(key.created_at.timestamp()),
        "sub": key.pk,
        "iss": "urn:latchkey:production",
        "environment": "production",
    }


def test_a_key_without_expiry_has_no_exp(caller: Caller) -> None:
    assert "exp" not in ask(caller, issue().credential).json()


def test_what_is_not_good_now_here_is_inactive_and_nothing_else(caller: Caller) -> None:
    revoked, expired = issue(), issue()
    keys.revoke(revoked.key, actor=ACTOR)
    expire(expired.key)
    staging = issue(environment=Environment.STAGING)
    good = issue().credential
    credentials = {
        "key_revoked": revoked.credential,
        "key_expired": expired.credential,
        "environment_mismatch": staging.credential,
        "key_invalid": good[:-1] + ("a" if good[-1] != "a" else "b"),
    }

    for code, credential in credentials.items():
        answer = ask(caller, credential)

        assert (answer.status_code, answer.json()) == (200, INACTIVE), code
        record = record_of(answer)
        assert (record.kind, record.status, record.code) == ("decision", 401, code)
        assert (record.key is None) == (code == "key_invalid")


def test_nothing_is_counted_against_the_presented_key(caller: Caller) -> None:
    issued = issue(limit_minute=1)

    told = [ask(caller, issued.credential).json()["active"] for _ in range(3)]

    assert told == [True, True, True]
    assert throttling.peek(issued.key).remaining[0] == 1


@pytest.mark.parametrize("way", ["bearer", "header", "basic", "other user", "no user"])
@pytest.mark.parametrize("kind", [Caller, EdgeCaller])
def test_the_caller_sends_its_key_in_one_of_three_ways(kind: type[Caller], way: str) -> None:
    credential = issue(permissions=[Permission.KEYS_VERIFY]).credential
    user = {"basic": "client", "other user": "any%20one", "no user": ""}.get(way)
    if user is not None:
        sent = {"HTTP_AUTHORIZATION": basic(f"{user}:{credential}")}
    elif way == "bearer":
        sent = {"HTTP_AUTHORIZATION": f"bearer {credential}"}
    else:
        sent = {"HTTP_X_API_KEY": credential}

    answer = ask(kind(**sent), issue().credential)

    assert (answer.status_code, answer.json()["active"]) == (200, True)


def basic(text: str) -> str:
    return "Basic " + b64encode(text.encode()).decode()


@pytest.mark.parametrize("kind", [Caller, EdgeCaller])
def test_a_basic_header_that_holds_no_key_is_refused(kind: type[Caller]) -> None:
    credential = issue(permissions=[Permission.KEYS_VERIFY]).credential
    whole = basic(f"x:{credential}")
    expected = {
        "Basic": "key_invalid",
        "Basic \N{BULLET}": "key_invalid",
        "Basic !!!!": "key_invalid",
        basic(credential): "key_invalid",
        basic(f"{credential}:"): "key_invalid",
        "Digest x": "key_missing",
        f"{whole}, {whole}": "multiple_credentials",
    }

    told = {sent: ask(kind(HTTP_AUTHORIZATION=sent), "x").json()["code"] for sent in expected}
    both = ask(kind(HTTP_AUTHORIZATION=whole, HTTP_X_API_KEY=credential), "x").json()["code"]

    assert told == expected
    assert both == "multiple_credentials"


def test_basic_is_taken_by_no_other_endpoint() -> None:
    credential = issue(permissions=list(Permission)).credential

    for kind in (Caller, EdgeCaller):
        caller = kind(HTTP_AUTHORIZATION=basic(f"x:{credential}"))
        answers = [caller.get("key"), caller.post("keys/verify", {"key": credential})]
        assert [answer.json()["code"] for answer in answers] == ["key_missing"] * 2


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"token=", "validation_failed"),
        (b"token_type_hint=x", "validation_failed"),
        (b"token=x&resource=y", "validation_failed"),
        (b"token=%00", "validation_failed"),
        (b"token=x&token=y", "malformed_body"),
        (b"token", "malformed_body"),
        (b"token=%FF", "malformed_body"),
        (b"token=\xff", "malformed_body"),
        (b'{"token": "x"}', "malformed_body"),
    ],
)
def test_a_form_that_does_not_fit_is_400(caller: Caller, body: bytes, code: str) -> None:
    answer = caller.post("introspect", body, content_type=FORM)

    assert (answer.status_code, answer.json()["code"]) == (400, code)
    record = record_of(answer)
    assert (record.kind, record.code, record.request_body) == ("request", code, "")


def test_json_is_415_and_told_what_to_send(caller: Caller) -> None:
    answer = caller.post("introspect", {"token": "x"})

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert FORM in answer.json()["detail"]


def test_one_record_tells_who_asked_about_whom(caller: Caller) -> None:
    issued = issue()

    answer = ask(caller, issued.credential)

    record = record_of(answer)
    assert (record.kind, record.status, record.code) == ("decision", 200, "")
    assert (record.key, record.secret_version, record.is_key_accepted) == (issued.key.pk, 1, True)
    assert record.caller is not None
    assert record.caller != record.key
    assert (record.method, record.path) == ("POST", "/api/production/v1/introspect")
    assert (record.route, record.service, record.host) == ("introspect", "", "")
    assert (record.request_body, record.response_body) == ("", "")
