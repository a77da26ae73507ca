"""``keys/verify``: the decision about a presented key, at the edge and by Django's view."""

from typing import Any

import pytest
from django.conf import LazySettings

from apikeys import lifecycle as keys
from apikeys.environments import Environment
from apikeys.guard import throttling
from apikeys.lifecycle import IssuedKey
from apikeys.limits import Rate
from apikeys.permissions import Permission
from gateway import lifecycle
from gateway.models import Service
from tests.support.api_client import Caller, EdgeCaller, record_of
from tests.support.factories import ACTOR, expire, issue, make_customer

pytestmark = pytest.mark.django_db

ORDERS = {"service": "orders", "method": "GET", "path": "/v1/a"}


@pytest.fixture(params=[Caller, EdgeCaller])
def caller(request: pytest.FixtureRequest, service: Service) -> Caller:
    """A caller that may verify, by each way, and the service ``orders``."""
    verifier = issue(permissions=[Permission.KEYS_VERIFY])
    made: Caller = request.param(verifier, HTTP_USER_AGENT="shop/1")
    return made


def ask(caller: Caller, presented: IssuedKey | str, **fields: Any) -> Any:
    credential = presented if isinstance(presented, str) else presented.credential
    answer = caller.post("keys/verify", {"key": credential, **fields})
    assert answer.status_code == 200, answer.content
    return answer


def to(method: str, path: str) -> dict[str, str]:
    return {"service": "orders", "method": method, "path": path}


def test_a_key_that_may_pass_is_told_with_its_fields(caller: Caller) -> None:
    issued = issue(permissions=["customers:read"], networks=["203.0.113.0/24"])

    answer = ask(caller, issued, permission="customers:read", address="203.0.113.7")

    shown = Caller(issued, REMOTE_ADDR="203.0.113.7").get("key").json()
    del shown["remaining"]
    assert answer["Cache-Control"] == "no-store"
    assert ("X-Frame-Options" in answer) == (type(caller) is Caller)
    assert answer.json() == {
        "valid": True,
        "code": "valid",
        "status": 200,
        "detail": "The request may pass.",
        "key": shown,
        "permission": "customers:read",
        "remaining": {"minute": 599, "hour": 19_999, "day": 199_999},
        "retry_after": None,
    }


def test_without_a_permission_any_key_will_do(caller: Caller) -> None:
    told = ask(caller, issue()).json()

    assert (told["valid"], told["permission"]) == (True, None)


def test_the_rule_of_the_service_says_what_is_needed(caller: Caller) -> None:
    issued = issue(permissions=["customers:read"])

    told = [
        (answer["code"], answer["status"], answer["permission"])
        for fields in (
            to("GET", "/v1/a?x=//../"),
            to("GET", "/any/a"),
            to("PUT", "/v1/a"),
            to("GET", "/v1/../a"),
            to("GET", "/v1/é"),
        )
        for answer in [ask(caller, issued, **fields).json()]
    ]

    assert told == [
        ("valid", 200, "customers:read"),
        ("valid", 200, None),
        ("no_rule", 403, None),
        ("ambiguous_path", 400, None),
        ("ambiguous_path", 400, None),
    ]


def test_a_disabled_service_refuses(caller: Caller) -> None:
    service = lifecycle.create("off", actor=ACTOR, is_enabled=False)

    told = ask(caller, issue(), **to("GET", "/a") | {"service": service.name}).json()

    assert (told["code"], told["status"]) == ("service_disabled", 403)


def test_an_unknown_service_is_an_error_of_the_request(caller: Caller) -> None:
    body = {"key": issue().credential, **ORDERS, "service": "nothing"}

    answer = caller.post("keys/verify", body)

    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
    assert [error["field"] for error in answer.json()["errors"]] == ["service"]
    record = record_of(answer)
    assert (record.kind, record.service, record.caller) == ("request", "", None)


def test_a_public_rule_looks_at_no_key(caller: Caller) -> None:
    blocked = issue(limit_minute=0)

    for presented in ("", "nonsense", blocked):
        told = ask(caller, presented, **to("GET", "/open/x")).json()
        assert (told["valid"], told["key"], told["remaining"]) == (True, None, None)


def refusals(caller: Caller) -> dict[str, Any]:
    """Return what is told for each code of the guard."""
    revoked, expired, far = issue(), issue(), issue(networks=["203.0.113.0/24"])
    keys.revoke(revoked.key, actor=ACTOR)
    expire(expired.key)
    return {
        "key_missing": ask(caller, ""),
        "key_invalid": ask(caller, "lk_prod_x"),
        "key_revoked": ask(caller, revoked),
        "key_expired": ask(caller, expired),
        "environment_mismatch": ask(caller, issue(environment=Environment.STAGING)),
        "address_not_allowed": ask(caller, far, address="198.51.100.7"),
        "rate_limited": ask(caller, issue(limit_minute=0)),
        "permission_denied": ask(caller, issue(), permission="customers:read"),
    }


STATUSES = {
    "key_missing": 401, "key_invalid": 401, "key_revoked": 401, "key_expired": 401,
    "environment_mismatch": 401, "address_not_allowed": 403, "rate_limited": 429,
    "permission_denied": 403,
}  # fmt: skip


def test_each_refusal_is_told_with_its_status_and_on_record(caller: Caller) -> None:
    for code, answer in refusals(caller).items():
        told, record = answer.json(), record_of(answer)
        is_matched = code not in {"key_missing", "key_invalid"}
        is_asked = code in {"address_not_allowed", "rate_limited", "permission_denied"}
        assert (told["valid"], told["code"], told["status"]) == (False, code, STATUSES[code])
        assert told["detail"].count(". ") == 1, code
        assert (told["key"] is not None, told["remaining"] is not None) == (is_matched, is_asked)
        assert (told["retry_after"] is not None) == (code == "rate_limited")
        assert "WWW-Authenticate" not in answer
        assert (record.kind, record.status, record.code) == ("decision", STATUSES[code], code)
        assert (record.key is not None) == is_matched
        assert record.is_key_accepted == (code in {"rate_limited", "permission_denied"})


def test_a_scoped_key_is_told_with_its_customers(caller: Caller) -> None:
    customers = [make_customer().pk for _ in range(2)]

    told = ask(caller, issue(customers=customers)).json()["key"]

    assert (told["customer_scope"], told["customers"]) == (
        "selected",
        sorted(str(customer) for customer in customers),
    )


def test_a_key_with_networks_needs_an_address(caller: Caller) -> None:
    issued = issue(networks=["203.0.113.0/24"])

    inside = ask(caller, issued, address="::ffff:203.0.113.7")
    unnamed = ask(caller, issued).json()

    assert inside.json()["valid"]
    assert record_of(inside).address == "203.0.113.7"
    assert (unnamed["code"], "unknown address" in unnamed["detail"]) == (
        "address_not_allowed",
        True,
    )


def test_the_cost_is_the_bodys_the_rules_or_one(caller: Caller) -> None:
    issued = issue(limit_minute=20)

    left = [
        ask(caller, issued, **fields).json()["remaining"]["minute"]
        for fields in (
            {},
            {"cost": 3},
            to("POST", "/dear/x"),
            to("POST", "/dear/x") | {"cost": 1},
            to("PUT", "/nowhere"),
            {"cost": 10},
        )
    ]

    # The last is refused, and takes nothing.
    assert left == [19, 16, 11, 10, 9, 9]


def test_count_false_only_asks(caller: Caller, settings: LazySettings) -> None:
    settings.AUTH_FAILURE_LIMIT = Rate(1, 60)
    issued = issue(limit_minute=2)

    told = [ask(caller, issued, count=False, cost=2).json()["remaining"] for _ in range(3)]
    failed = [ask(caller, "x", count=False, address="192.0.2.1").json() for _ in range(3)]

    assert {left["minute"] for left in told} == {2}
    assert throttling.peek(issued.key).remaining[0] == 2
    assert ask(caller, issued, count=False, cost=3).json()["code"] == "rate_limited"
    assert {one["code"] for one in failed} == {"key_invalid"}


def test_failures_are_counted_against_the_address_that_is_given(
    caller: Caller, settings: LazySettings
) -> None:
    settings.AUTH_FAILURE_LIMIT = Rate(2, 60)
    address = f"198.51.100.{1 + (type(caller) is Caller)}"

    told = [ask(caller, "x", address=address).json() for _ in range(3)]
    unnamed = [ask(caller, "x").json()["code"] for _ in range(4)]

    assert [one["code"] for one in told] == ["key_invalid", "key_invalid", "too_many_failures"]
    assert (told[-1]["status"], told[-1]["retry_after"] > 0) == (429, True)
    assert set(unnamed) == {"key_invalid"}
    assert ask(caller, issue(), address=address).json()["valid"]


def test_the_calling_key_is_counted_once(caller: Caller) -> None:
    answers = [ask(caller, issue()), ask(caller, "x"), ask(caller, issue(), cost=9)]

    left = [answer["RateLimit"].split(";")[1] for answer in answers]
    assert left == ["r=599", "r=598", "r=597"]


def test_a_key_may_verify_itself_and_is_counted_twice(caller: Caller) -> None:
    issued = issue(permissions=[Permission.KEYS_VERIFY])

    told = ask(type(caller)(issued), issued).json()

    assert (told["valid"], told["remaining"]["minute"]) == (True, 598)


def test_no_answer_is_given_again(caller: Caller) -> None:
    issued = issue()
    body = {"key": issued.credential}
    before = caller.post("keys/verify", body, HTTP_IDEMPOTENCY_KEY="one").json()["code"]

    keys.revoke(issued.key, actor=ACTOR)
    after = caller.post("keys/verify", body, HTTP_IDEMPOTENCY_KEY="one").json()["code"]

    assert (before, after) == ("valid", "key_revoked")


def test_the_record_is_of_the_request_that_was_asked_about(caller: Caller) -> None:
    issued = issue(permissions=["customers:read"])

    answer = ask(caller, issued, **to("GET", "/v1/%61?page=2"), address="198.51.100.7")

    record = record_of(answer)
    assert (record.kind, record.service, record.environment) == ("decision", "orders", "production")
    assert (record.key, record.secret_version, record.is_key_accepted) == (issued.key.pk, 1, True)
    assert (record.method, record.path, record.query) == ("GET", "/v1/%61", "page=2")
    assert (record.route, record.host) == ("/v1/{name}", "")
    assert (record.status, record.code, record.permission) == (200, "", "customers:read")
    assert (record.address, record.user_agent) == ("198.51.100.7", "")
    assert record.caller not in {None, issued.key.pk}
    assert (record.request_body, record.response_body) == ("", "")


def test_what_is_not_given_is_recorded_as_it_came_but_for_the_client(caller: Caller) -> None:
    record = record_of(ask(caller, issue(), permission="customers:read"))

    assert (record.method, record.path) == ("POST", "/api/production/v1/keys/verify")
    assert (record.route, record.service, record.query) == ("keys/verify", "", "")
    assert (record.address, record.user_agent) == ("", "")
    assert record.request_headers["User-Agent"] == "shop/1"


FIELDS = [
    ({}, "key"),
    ({"key": None}, "key"),
    ({"key": 3}, "key"),
    ({"key": "x", "permission": "customers"}, "permission"),
    ({"key": "x", "permission": "any-key"}, "permission"),
    ({"key": "x", "permission": "a:b\n"}, "permission"),
    ({"key": "x", "service": "orders"}, "method"),
    ({"key": "x", "service": "orders", "method": "GET"}, "path"),
    ({"key": "x", "method": "GET", "path": "/"}, "service"),
    ({"key": "x", **ORDERS, "permission": "a:b"}, "permission"),
    ({"key": "x", **ORDERS, "method": "get"}, "method"),
    ({"key": "x", **ORDERS, "path": "/" + "x" * 8_000}, "path"),
    ({"key": "x", "address": "nowhere"}, "address"),
    ({"key": "x", "address": ""}, "address"),
    ({"key": "x", "cost": 0}, "cost"),
    ({"key": "x", "cost": 1001}, "cost"),
    ({"key": "x", "cost": "1"}, "cost"),
    ({"key": "x", "cost": True}, "cost"),
    ({"key": "x", "count": "false"}, "count"),
    ({"key": "x", "count": 0}, "count"),
    ({"key": "x", "unknown": 1}, "unknown"),
    ([{"key": "x"}], "body"),
    ("x", "body"),
]


@pytest.mark.parametrize(("body", "field"), FIELDS)
def test_a_body_that_does_not_fit_is_400(caller: Caller, body: Any, field: str) -> None:
    answer = caller.post("keys/verify", body)

    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")
    assert [error["field"] for error in answer.json()["errors"]] == [field]
