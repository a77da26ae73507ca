"""Forward authentication: what proxies are answered, in each dialect."""

import json
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings, settings

from apikeys import lifecycle as keys
from apikeys.environments import Environment
from apikeys.limiter import counters
from apikeys.limits import Rate
from database.circuit_breaker import CircuitBreaker
from gateway import lifecycle, lookup
from gateway.models import Service
from gateway.rules import parse_rules
from logs.capture.spool import files
from logs.middleware import spool
from logs.models import RequestLog
from logs.shipping.shipper import Shipper
from tests.support.api_client import Caller, record_of
from tests.support.factories import ACTOR, expire, issue, make_customer
from tests.support.proxy import DIALECTS, Proxy, Reply

pytestmark = pytest.mark.django_db

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
NOBODY = ("", "", "", "")


@pytest.fixture(autouse=True)
def trusted(settings: LazySettings) -> None:
    """Trust the proxy."""
    settings.TRUSTED_PROXIES = (ip_network("127.0.0.0/8"),)


@pytest.fixture(params=DIALECTS)
def proxy(request: pytest.FixtureRequest, service: Service) -> Proxy:
    """A proxy of each dialect before the service."""
    return Proxy(service.name, request.param)


@pytest.mark.parametrize("sent", [TRACEPARENT, TRACEPARENT.upper(), "none", None])
def test_a_valid_trace_is_kept_and_answered_where_the_request_may_pass(
    proxy: Proxy, sent: str | None
) -> None:
    headers = [] if sent is None else [("traceparent", sent)]

    admitted = proxy.ask(issue(permissions=["customers:read"]), uri="/v1/a", headers=headers)
    refused = proxy.ask(uri="/v1/a", headers=headers)

    assert (admitted.true_status, refused.true_status) == (200, 401)
    is_valid = sent == TRACEPARENT
    assert admitted.headers.get("traceparent") == (sent if is_valid else None)
    assert "traceparent" not in refused.headers
    for reply in (admitted, refused):
        assert record_of(reply).trace == (TRACEPARENT[3:35] if is_valid else None)


def test_a_request_that_may_pass_is_200_without_a_body(proxy: Proxy) -> None:
    issued = issue(permissions=["customers:read"])

    reply = proxy.ask(issued, uri="/v1/a?x=1")

    assert (reply.status, reply.true_status, reply.code, reply.body) == (200, 200, "", b"")
    assert reply.identity == (issued.key.pk, "production", "customers:read", "all")
    assert reply.headers["Cache-Control"] == "no-store"
    assert reply.headers["Content-Length"] == "0"
    assert reply.headers["RateLimit"].startswith('"minute";r=599;')
    assert "RateLimit-Policy" in reply.headers
    assert (reply.headers["X-RateLimit-Limit"], reply.headers["X-RateLimit-Remaining"]) == (
        "600",
        "599",
    )


def test_any_key_passes_where_the_rule_says_so(proxy: Proxy) -> None:
    issued = issue()

    reply = proxy.ask(issued, uri="/any/thing")

    assert (reply.status, reply.identity) == (200, (issued.key.pk, "production", "", "all"))


def test_a_public_rule_looks_at_no_key_and_counts_nothing(proxy: Proxy) -> None:
    blocked = issue(limit_minute=0)

    replies = [proxy.ask(who, uri="/open/x") for who in (None, "nonsense", blocked)]

    assert [reply.status for reply in replies] == [200, 200, 200]
    assert {reply.identity for reply in replies} == {NOBODY}
    assert not any("ratelimit" in str(reply.headers).lower() for reply in replies)


def test_a_key_without_a_digest_opens_nothing(proxy: Proxy) -> None:
    issued = issue()
    issued.key.secrets.update(digest="")

    assert proxy.ask(issued, uri="/any/x").code == "key_invalid"


def test_a_rule_costs_what_it_says_and_no_rule_costs_one(proxy: Proxy) -> None:
    issued = issue(limit_minute=7)

    replies = [
        proxy.ask(issued, method="POST", uri="/dear/x"),
        proxy.ask(issued, uri="/nowhere"),
        proxy.ask(issued, method="POST", uri="/dear/x"),
    ]

    assert [reply.code for reply in replies] == ["", "no_rule", "rate_limited"]
    left = [reply.headers["RateLimit"].split(";")[1] for reply in replies]
    assert left == ["r=2", "r=1", "r=1"]


def refusals(proxy: Proxy, service: Service) -> dict[str, Reply]:
    """Return what each code is answered for."""
    issued = issue()
    revoked, expired, blocked = issue(), issue(), issue(limit_minute=0)
    far = issue(networks=["203.0.113.0/24"])
    keys.revoke(revoked.key, actor=ACTOR)
    expire(expired.key)
    lifecycle.create("off", actor=ACTOR, is_enabled=False)
    own, base = proxy.dialect, "/any/x"
    staging = Proxy(service.name, own, environment="staging")
    return {
        "proxy_not_trusted": Proxy(service.name, own, peer="192.0.2.1").ask(issued, uri=base),
        "environment_not_served": Proxy("orders", own, environment="test").ask(issued, uri=base),
        "uri_too_long": proxy.ask(issued, uri="/any/" + "x" * 8_000),
        "header_too_long": proxy.ask(issued, uri=base, headers=[("X-Big", "x" * 8_193)]),
        "forwarded_incomplete": proxy.ask(issued, method="get", uri=base),
        "ambiguous_path": proxy.ask(issued, uri="/any/../x"),
        "unknown_service": Proxy("nothing", own).ask(issued, uri=base),
        "service_disabled": Proxy("off", own).ask(issued, uri=base),
        "key_missing": proxy.ask(uri=base),
        "multiple_credentials": proxy.ask(issued, uri=base, headers=[("X-API-Key", "x")]),
        "key_invalid": proxy.ask("lk_prod_x", uri=base),
        "key_revoked": proxy.ask(revoked, uri=base),
        "key_expired": proxy.ask(expired, uri=base),
        "environment_mismatch": staging.ask(issued, uri=base),
        "address_not_allowed": proxy.ask(far, uri=base),
        "rate_limited": proxy.ask(blocked, uri=base),
        "no_rule": proxy.ask(issued, uri="/nowhere"),
        "permission_denied": proxy.ask(issued, uri="/v1/a"),
    }


STATUSES = {
    "proxy_not_trusted": 403, "environment_not_served": 404, "uri_too_long": 414,
    "header_too_long": 431, "forwarded_incomplete": 400, "ambiguous_path": 400,
    "unknown_service": 404, "service_disabled": 403, "key_missing": 401,
    "multiple_credentials": 400, "key_invalid": 401, "key_revoked": 401, "key_expired": 401,
    "environment_mismatch": 401, "address_not_allowed": 403, "rate_limited": 429, "no_rule": 403,
    "permission_denied": 403,
}  # fmt: skip


def test_each_refusal_has_its_code_no_identity_and_a_record(proxy: Proxy, service: Service) -> None:
    for code, reply in refusals(proxy, service).items():
        true = STATUSES[code]
        sent = true if proxy.dialect != "nginx" else 401 if true == 401 else 403
        assert (reply.code, reply.true_status, reply.status) == (code, true, sent), code
        assert reply.problem["request_id"] == reply.headers["X-Request-ID"]
        assert reply.identity == NOBODY, code
        assert reply.headers["Cache-Control"] == "no-store"
        assert reply.headers["Content-Type"] == "application/problem+json"
        record = record_of(reply)
        assert (record.kind, record.status, record.code) == ("decision", true, code)


def test_nginx_is_told_the_problem_in_one_short_line_of_ascii(service: Service) -> None:
    for code, reply in refusals(Proxy(service.name, "nginx"), service).items():
        line = reply.headers["X-Latchkey-Problem"]
        assert (line.isascii(), line.isprintable(), reply.body) == (True, True, b""), code
        assert len(line) < 2_000


@pytest.mark.parametrize("dialect", ["", "nginx"])
@pytest.mark.parametrize("field", ["Method", "Uri", "Host", "For"])
def test_a_forwarded_field_that_is_missing_is_refused(
    service: Service, dialect: str, field: str
) -> None:
    name = f"X-Forwarded-{field}"
    proxy = Proxy(service.name, dialect)

    replies = [
        proxy.ask(issue(), uri="/any/x", without=name),
        proxy.ask(issue(), uri="/any/x", without=name, headers=[(name, "")]),
        proxy.ask(issue(), uri="/any/x", without=name, headers=[(name, "\N{BULLET}")]),
    ]

    assert {reply.code for reply in replies} == {"forwarded_incomplete"}


@pytest.mark.parametrize("dialect", ["", "nginx"])
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Forwarded-Method", "GET"),
        ("X-Forwarded-Uri", "/open/x"),
        ("X-Forwarded-Uri", "/any/x"),
        ("X-Forwarded-Host", "orders.example"),
    ],
)
def test_a_forwarded_field_that_is_repeated_is_refused(
    service: Service, dialect: str, name: str, value: str
) -> None:
    reply = Proxy(service.name, dialect).ask(issue(), uri="/any/x", headers=[(name, value)])

    assert reply.code == "forwarded_incomplete"


def test_a_comma_in_an_address_is_no_repetition(proxy: Proxy) -> None:
    assert proxy.ask(issue(), uri="/any/a,b?c,d").status == 200


@pytest.mark.parametrize("method", ["get", "GET,POST", "GET POST", "G" * 21, "GÉT"])
def test_a_method_that_no_rule_can_name_is_refused(proxy: Proxy, method: str) -> None:
    assert proxy.ask(issue(), method=method, uri="/open/x").code == "forwarded_incomplete"


def test_what_else_a_client_can_send_is_not_believed(proxy: Proxy) -> None:
    headers = [
        ("Forwarded", "for=203.0.113.7;host=evil;proto=https"),
        ("X-Original-URI", "/open/x"),
        ("X-Original-URL", "/open/x"),
        ("X-Original-Method", "HEAD"),
        ("X-Rewrite-URL", "/open/x"),
        ("X-Forwarded-Prefix", "/open"),
        ("X-HTTP-Method-Override", "POST"),
        ("X-Real-Ip", "203.0.113.7"),
        ("X-Latchkey-Key-Id", "forged"),
        ("X-Latchkey-Customers", "all"),
        ("X_Forwarded_Uri", "/open/x"),
    ]
    issued = issue(networks=["203.0.113.0/24"])

    assert proxy.ask(uri="/any/x", headers=headers).code == "key_missing"
    assert proxy.ask(issued, uri="/any/x", headers=headers).code == "address_not_allowed"
    assert proxy.ask(issued, uri="/open/x", headers=headers).identity == NOBODY


TRICKS = [
    "/open/../any/x", "/open/./x", "/open/..", "/open//x", "//open/x", "/open/%2e%2e/any",
    "/open/%2E./any", "/open%2fx", "/open/%2Fx", "/open%5cx", "/open\\x", "/open/x;y", "/open/;",
    "/open/%3bx", "/open/%00", "/open/x%0a", "/open/%252e%252e/any", "/open/x%", "/open/%zz",
    "/open/x#y", "/open/%23", "/open/%3f", "open/x", "http://orders.example/open/x", "/open/%c0%ae",
    "/open/%ef%bc%8f", "/open/\x7f",
]  # fmt: skip


@pytest.mark.parametrize("uri", TRICKS)
def test_a_path_that_may_be_read_in_two_ways_is_refused_before_any_rule(
    proxy: Proxy, uri: str
) -> None:
    if proxy.dialect == "envoy" and not uri.startswith("/"):
        assert proxy.ask(uri=uri).code == "not_found"
    else:
        assert proxy.ask(uri=uri).code == "ambiguous_path"


def test_the_query_is_cut_at_the_first_question_mark_and_decides_nothing(proxy: Proxy) -> None:
    assert proxy.ask(issue(), uri="/any/x?/../?//;%00").status == 200
    assert proxy.ask(uri=f"/any/x?api_key={issue().credential}").code == "key_missing"


@pytest.mark.parametrize(
    "path",
    [
        "/auth/", "/auth/production", "/auth/production/", "/auth/production/orders/",
        "/auth/production/orders/nginx/", "/auth/production/orders/apache",
        "/auth/production/orders/envoyx", "/auth/production//orders",
        "/auth/production/orders/nginx/x", "/%61uth/production/orders",
    ],
)  # fmt: skip
def test_an_address_of_no_dialect_is_a_404_without_a_redirect(service: Service, path: str) -> None:
    issued = issue()
    fields = [("Authorization", f"Bearer {issued.credential}"), ("X-Forwarded-Uri", "/open/x")]

    reply = Proxy("orders").send("GET", path, "", fields)

    assert (reply.status, reply.code, reply.identity) == (404, "not_found", NOBODY)
    assert record_of(reply).path == path


def test_the_client_is_the_last_hop_that_no_trusted_proxy_wrote(proxy: Proxy) -> None:
    issued = issue(networks=["203.0.113.0/24"])

    inside = proxy.ask(issued, uri="/any/x", client="198.51.100.1, 203.0.113.7, 127.0.0.9")
    forged = proxy.ask(issued, uri="/any/x", client="203.0.113.7, 198.51.100.1")

    assert (inside.status, record_of(inside).address) == (200, "203.0.113.7")
    assert (forged.code, record_of(forged).address) == ("address_not_allowed", "198.51.100.1")


def test_without_a_forwarded_client_envoy_s_address_is_not_the_client_s(service: Service) -> None:
    issued = issue(networks=["127.0.0.0/8"])

    reply = Proxy(service.name, "envoy").ask(issued, uri="/any/x", without="X-Forwarded-For")

    assert reply.code == "address_not_allowed"
    assert record_of(reply).address == "0.0.0.0"


def test_a_scoped_key_s_customers_are_those_it_reaches_now(proxy: Proxy) -> None:
    customers = [make_customer() for _ in range(3)]
    issued = issue(customers=[customer.pk for customer in customers])
    ids = sorted(str(customer.pk) for customer in customers)

    before = proxy.ask(issued, uri="/any/x").headers["X-Latchkey-Customers"]
    customers[0].status = "suspended"
    customers[0].save()
    after = proxy.ask(issued, uri="/any/x").headers["X-Latchkey-Customers"]
    none = proxy.ask(issue(customers=[]), uri="/any/x")

    assert before.split(",") == ids
    assert after.split(",") == [one for one in ids if one != str(customers[0].pk)]
    assert (none.status, none.headers["X-Latchkey-Customers"]) == (200, "")


def test_only_a_scope_takes_a_query_of_its_own(
    proxy: Proxy, django_assert_num_queries: Any
) -> None:
    issued, scoped = issue(), issue(customers=[make_customer().pk])
    proxy.ask(issued, uri="/any/x")

    # The lookup goes through the driver and is not seen here.
    with django_assert_num_queries(0):
        proxy.ask(issued, uri="/any/x")
    with django_assert_num_queries(1):
        proxy.ask(scoped, uri="/any/x")


def test_head_is_answered_without_a_body(service: Service) -> None:
    proxy = Proxy(service.name)
    envoy = Proxy(service.name, "envoy")

    by_head = proxy.ask(uri="/any/x", by="HEAD")
    about_head = proxy.ask(issue(), method="HEAD", uri="/any/x")

    assert (by_head.status, by_head.body, envoy.ask(method="HEAD").body) == (401, b"", b"")
    assert int(by_head.headers["Content-Length"]) > 100
    # A proxy that asks by GET about a HEAD waits for the body that a GET has.
    assert len(about_head.body) == int(about_head.headers["Content-Length"]) > 100


def test_the_record_is_the_original_request_s(proxy: Proxy) -> None:
    issued = issue(permissions=["customers:read"])

    reply = proxy.ask(
        issued,
        uri=f"/v1/%61?page=2&token={issued.credential}",
        client="198.51.100.7",
        headers=[("User-Agent", "probe/1.0")],
    )

    record = record_of(reply)
    assert (record.kind, record.service, record.environment) == ("decision", "orders", "production")
    assert (record.key, record.secret_version, record.caller) == (issued.key.pk, 1, None)
    assert (record.method, record.path, record.host) == ("GET", "/v1/%61", "orders.example")
    assert record.query.startswith("page=2&token=")
    assert (record.status, record.code, record.is_key_accepted) == (200, "", True)
    assert (record.permission, record.address) == ("customers:read", "198.51.100.7")
    assert (record.user_agent, record.route) == ("probe/1.0", "/v1/{name}")
    assert record.duration > 0
    assert (record.request_body, record.response_body, record.cut) == ("", "", 0)
    assert issued.credential[-38:] not in json.dumps(record)
    assert set(record.response_headers) == {"X-Request-ID", "RateLimit-Policy", "RateLimit"}


def test_a_key_in_the_place_of_a_method_or_a_service_is_not_recorded(proxy: Proxy) -> None:
    key = issue().credential
    # With what stands before it: three digits alone may be those of a status or a size.
    start = "_" + key.rpartition("_")[2][:3]

    method = record_of(proxy.ask(method=key))
    service = record_of(Proxy(key[:40]).ask())

    assert (method.code, service.code) == ("forwarded_incomplete", "unknown_service")
    assert start not in json.dumps(method)
    assert service.service == ""
    assert start not in json.dumps(service)


def test_a_refusal_s_body_is_not_kept(proxy: Proxy) -> None:
    record = record_of(proxy.ask(issue(), uri="/v1/a"))

    assert (record.code, record.response_body) == ("permission_denied", "")
    assert (record.route, record.response_bytes > 100) == ("/v1/{name}", True)


def test_a_rule_longer_than_what_the_log_keeps_costs_no_record() -> None:
    for earlier in files(settings.LOG_SPOOL):
        earlier.write_bytes(b"")
    path = f"/{'x' * 400}"
    lifecycle.create("long", actor=ACTOR, rules=parse_rules([f"GET {path} public"]))

    reply = Proxy("long").ask(uri=path)
    shipper = Shipper(settings.LOG_SPOOL)
    shipper.ship()
    shipper.close()

    assert RequestLog.objects.get(pk=reply.headers["X-Request-ID"]).route == path[:200]


def test_changes_of_a_service_bind_on_the_next_decision(proxy: Proxy, service: Service) -> None:
    issued = issue()

    def told() -> str:
        return proxy.ask(issued, uri="/any/x").code

    codes = [told()]
    for fields, rules in [
        ({}, ["GET /any/** customers:read"]),
        ({}, []),
        ({"is_enabled": False}, None),
        ({"is_enabled": True}, ["GET /any/** any-key"]),
    ]:
        parsed = None if rules is None else parse_rules(rules)
        lifecycle.update(service, actor=ACTOR, fields=fields, rules=parsed)
        codes.append(told())
    lifecycle.delete(service, actor=ACTOR)
    codes.append(told())
    lifecycle.create("orders", actor=ACTOR, rules=parse_rules(["GET /** public"]))
    codes.append(told())

    assert codes == [
        "", "permission_denied", "no_rule", "service_disabled", "", "unknown_service", "",
    ]  # fmt: skip


def test_rules_are_read_once_for_each_revision(
    proxy: Proxy, service: Service, django_assert_num_queries: Any
) -> None:
    lookup._rules.clear()

    with django_assert_num_queries(1):
        for _ in range(3):
            proxy.ask(uri="/open/x")

    lifecycle.update(service, actor=ACTOR, fields={"description": "New"})
    with django_assert_num_queries(1):
        proxy.ask(uri="/open/x")


def test_refused_credentials_are_limited_by_the_client_s_address(
    proxy: Proxy, settings: LazySettings
) -> None:
    settings.AUTH_FAILURE_LIMIT = Rate(2, 60)
    client = f"198.18.8.{DIALECTS.index(proxy.dialect) + 1}"

    replies = [proxy.ask("nonsense", uri="/any/x", client=client) for _ in range(3)]

    assert [reply.true_status for reply in replies] == [401, 401, 429]
    assert replies[-1].code == "too_many_failures"
    assert int(replies[-1].headers["Retry-After"]) > 0
    assert proxy.ask(issue(), uri="/any/x", client=client).status == 200


def test_without_a_record_there_is_no_answer_but_503(proxy: Proxy, monkeypatch: Any) -> None:
    issued = issue()
    monkeypatch.setattr(spool(), "_max_bytes", 0)
    monkeypatch.setattr(spool(), "_measure_at", 0.0)

    reply = proxy.ask(issued, uri="/any/x")

    monkeypatch.undo()
    spool()._measure_at = 0.0
    assert (reply.true_status, reply.code, reply.identity) == (503, "unavailable", NOBODY)
    assert int(reply.headers["Retry-After"]) > 0
    assert proxy.ask(issued, uri="/any/x").headers["RateLimit"].startswith('"minute";r=599;')


def test_a_decision_that_cannot_be_recorded_is_a_503(
    proxy: Proxy, monkeypatch: Any, tmp_path: Path
) -> None:
    issued = issue()
    blocked = tmp_path / "file"
    blocked.write_text("in the way")
    with monkeypatch.context() as context:
        context.setattr(spool(), "_folder", blocked / "spool")
        context.setattr(spool(), "_rotate_bytes", 0)
        context.setattr(spool(), "_breaker", CircuitBreaker())

        reply = proxy.ask(issued, uri="/any/x")

    assert (reply.true_status, reply.code, reply.identity) == (503, "unavailable", NOBODY)


def test_a_defect_is_a_503_and_admits_nothing(proxy: Proxy, monkeypatch: Any) -> None:
    monkeypatch.setattr(counters(), "hit", None)

    reply = proxy.ask(issue(), uri="/any/x")

    assert (reply.true_status, reply.code, reply.identity) == (503, "unavailable", NOBODY)
    assert record_of(reply).status == 503


GUARDED = (
    "key_missing", "multiple_credentials", "key_invalid", "key_revoked", "key_expired",
    "environment_mismatch", "address_not_allowed", "rate_limited", "permission_denied",
)  # fmt: skip


def refused_with(code: str) -> tuple[Any, str, dict[str, str]]:
    """Return a credential that is refused so, the environment and more headers to send it with."""
    issued = issue(
        networks=["203.0.113.0/24"] if code == "address_not_allowed" else [],
        limit_minute=0 if code == "rate_limited" else None,
    )
    if code == "key_revoked":
        keys.revoke(issued.key, actor=ACTOR)
    if code == "key_expired":
        expire(issued.key)
    credential: Any = {"key_missing": None, "key_invalid": "lk_prod_x"}.get(code, issued)
    environment = "staging" if code == "environment_mismatch" else Environment.PRODUCTION.value
    more = {"HTTP_X_API_KEY": "x"} if code == "multiple_credentials" else {}
    return credential, environment, more


ALIKE = (
    "WWW-Authenticate", "RateLimit-Policy", "Retry-After", "Cache-Control", "Content-Type",
)  # fmt: skip


def test_the_guard_s_refusals_are_the_same_for_a_view_and_a_decision(service: Service) -> None:
    proxy = Proxy(service.name)
    for code in GUARDED:
        seen = []
        for is_view in (True, False):
            credential, environment, more = refused_with(code)
            address = "198.18.7.9"
            if is_view:
                answer = Caller(
                    credential, environment=environment, REMOTE_ADDR=address, **more
                ).get("customers")
                status, body, headers = answer.status_code, answer.json(), answer.headers
            else:
                proxy = Proxy(service.name, environment=environment)
                fields = [("X-API-Key", value) for value in more.values()]
                reply = proxy.ask(credential, uri="/v1/a", client=address, headers=fields)
                status, body, headers = reply.status, reply.problem, reply.headers
            record = record_of(Reply(status, dict(headers), b""))
            body.pop("request_id")
            seen.append(
                (
                    status,
                    body,
                    {name: headers.get(name) for name in ALIKE},
                    "RateLimit" in headers,
                    (record.status, record.code, record.environment, record.key is None),
                    (record.secret_version, record.is_key_accepted, record.permission),
                    record.address,
                )
            )
        assert seen[0] == seen[1], code
        assert seen[0][1]["code"] == code
