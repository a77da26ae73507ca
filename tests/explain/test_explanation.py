"""A replay agrees with what the guard answered, and says what it cannot know."""

import itertools
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from apikeys import lifecycle
from apikeys.lifecycle import IssuedKey
from apikeys.limits import MAX_LIMIT
from apikeys.models import ApiKey
from apikeys.permissions import Permission
from audit.models import Event
from explain.explanation import Explanation, explain
from explain.replay import Check
from gateway import lifecycle as services
from gateway.models import Service
from gateway.rules import parse_rules
from logs.models import RequestLog
from logs.stores import database
from review.findings import BY_NAME
from review.lifecycle import dismiss
from tests.support.api_client import Caller, record_of
from tests.support.factories import (
    ACTOR,
    expire,
    issue,
    make_decision,
    make_request,
)

pytestmark = pytest.mark.django_db

# Of these no two are alike, or what is refused to one would be counted against another.
_hosts = itertools.count(1)
INSIDE, OUTSIDE = "198.18.0.0/15", "203.0.0.0/8"


def address(network: str) -> str:
    first, _, _ = network.partition(".")
    host = next(_hosts)
    second = "18" if network == INSIDE else "0"
    return f"{first}.{second}.{host // 250}.{host % 250 + 1}"


def explained(answer: Any) -> Explanation:
    """Ship the record of an answer, and explain it."""
    record = record_of(answer)
    database.store([record])
    return explain(RequestLog.objects.get(pk=record.id))


def recorded(key: ApiKey, **fields: Any) -> RequestLog:
    """Make a request of now, to the microsecond."""
    log = make_request(key=key, **fields)
    log.at = timezone.now()
    log.save()
    return log


def call(issued: IssuedKey, method: str, path: str, body: Any = None, **more: Any) -> Any:
    return Caller(issued, **more).call(method, path, body)


CODES = [Permission.CUSTOMERS_READ, Permission.CUSTOMERS_WRITE, Permission.JOBS_RUN]
RULES = ["GET /v1/** customers:read", "* /v1/** customers:write", "* /open/** public",
         "GET /any any-key"]  # fmt: skip
REQUESTS = [
    ("GET", "key", None),
    ("GET", "customers", None),
    ("GET", "customers?nothing=1", None),
    ("POST", "customers", {"name": "A"}),
    ("PUT", "customers", None),
    ("GET", "customers/01936f5e-7b1c-7a54-9c1e-2f6a3d1b8c40", None),
    ("GET", "nowhere", None),
    ("POST", "jobs", {"type": "customers.export", "params": {}}),
    ("OPTIONS", "customers", None),
]
QUESTIONS = [("GET", "/v1/a"), ("PUT", "/v1/a"), ("GET", "/any"), ("PUT", "/any"),
             ("GET", "/open/a"), ("GET", "/a//b")]  # fmt: skip
steps_of_a_key = st.one_of(
    st.tuples(
        st.just("request"),
        st.sampled_from(REQUESTS),
        st.sampled_from(["production", "production", "production", "staging"]),
        st.sampled_from([INSIDE, INSIDE, OUTSIDE]),
    ),
    st.tuples(st.just("verify"), st.sampled_from(QUESTIONS), st.sampled_from([INSIDE, OUTSIDE])),
    st.tuples(
        st.just("update"),
        st.one_of(
            st.fixed_dictionaries({"permissions": st.lists(st.sampled_from(CODES), unique=True)}),
            st.fixed_dictionaries({"networks": st.sampled_from([[], [INSIDE], [OUTSIDE]])}),
            st.fixed_dictionaries({"limit_minute": st.sampled_from([0, 1, 3, None])}),
            st.fixed_dictionaries({"customers": st.sampled_from([None, []])}),
        ),
    ),
    st.tuples(st.just("revoke")),
    st.tuples(st.just("activate")),
    st.tuples(st.just("regenerate"), st.booleans()),
    st.tuples(
        st.just("guard"),
        st.fixed_dictionaries({"is_enabled": st.booleans()}),
        st.none() | st.lists(st.sampled_from(RULES), unique=True),
    ),
)


class World:
    """A key, a service and those who change and call them; keeps what was answered."""

    def __init__(self) -> None:
        self.key = issue(permissions=CODES[:1], limit_minute=1000)
        self.current = self.key
        self.verifier = issue(permissions=[Permission.KEYS_VERIFY], limit_minute=MAX_LIMIT)
        Service.objects.filter(name="stock").delete()
        self.service = services.create("stock", actor=ACTOR, rules=parse_rules(RULES[:2]))
        self.answers: list[Any] = []

    def request(self, asked: Any, environment: str, network: str) -> None:
        where = {"environment": environment, "REMOTE_ADDR": address(network)}
        self.answers.append(call(self.current, *asked, **where))

    def verify(self, asked: Any, network: str) -> None:
        method, path = asked
        about = {"service": "stock", "method": method, "path": path, "address": address(network)}
        question = {"key": self.current.credential, **about}
        self.answers.append(Caller(self.verifier).post("keys/verify", question))

    def revoke(self) -> None:
        lifecycle.revoke(self.key.key, actor=ACTOR)

    def activate(self) -> None:
        lifecycle.activate(self.key.key, actor=ACTOR)

    def regenerate(self, is_passed_on: bool) -> None:
        fresh = lifecycle.regenerate(self.key.key, actor=ACTOR)
        self.current = fresh if is_passed_on else self.current

    def update(self, settings: Any) -> None:
        lifecycle.update(self.key.key, actor=ACTOR, **settings)

    def guard(self, fields: Any, rules: list[str] | None) -> None:
        parsed = None if rules is None else parse_rules(rules)
        services.update(self.service, actor=ACTOR, fields=fields, rules=parsed)


@hypothesis_settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(steps_of_a_key, min_size=6, max_size=16))
def test_what_is_replayed_as_it_was_then_agrees_with_what_was_answered(steps: list[Any]) -> None:
    world = World()
    for name, *values in steps:
        getattr(world, name)(*values)

    for answer in world.answers:
        found = explained(answer)
        assert found.agrees, found.summary
        assert not found.then.is_unknown, found.summary
        assert found.then.code == found.log.code, found.summary


def test_a_key_that_was_granted_the_permission_since_would_pass_now() -> None:
    issued = issue(permissions=[Permission.CUSTOMERS_READ])
    answer = call(issued, "POST", "customers", {"name": "A"})
    both = [Permission.CUSTOMERS_READ, Permission.CUSTOMERS_WRITE]
    lifecycle.update(issued.key, actor=ACTOR, permissions=both)

    found = explained(answer)

    assert (found.then.check, found.then.code) == (Check.PERMISSION, "permission_denied")
    assert found.then.required_permission == "customers:write"
    assert found.now.has_passed
    (change,) = found.changes
    assert (change.subject, change.actor, change.concerns) == ("key", ACTOR.name, True)
    assert found.summary == "Permission refused it: permission_denied. It would pass now."


def test_a_finding_that_was_dismissed_since_is_no_change_of_the_key() -> None:
    issued = issue(environment="production")
    answer = call(issued, "POST", "customers", {"name": "A"})
    until = timezone.now() + timedelta(days=30)
    dismiss(issued.key, BY_NAME["no-expiry"], reason="Asked for", until=until, actor=ACTOR)

    assert Event.objects.filter(action="finding_dismissed").exists()
    assert explained(answer).changes == []


def test_a_request_is_judged_by_the_secret_that_it_came_with() -> None:
    issued = issue()
    answer = call(issued, "GET", "key")
    lifecycle.regenerate(issued.key, actor=ACTOR)

    found = explained(answer)

    assert found.then.has_passed
    assert (found.now.check, found.now.code) == (Check.CREDENTIAL, "key_invalid")


def test_a_wrong_secret_is_not_guessed_and_its_key_is_named() -> None:
    issued = issue(name="Shop")
    lifecycle.regenerate(issued.key, actor=ACTOR)

    found = explained(call(issued, "GET", "key"))

    assert (found.then.check, found.then.code) == (Check.CREDENTIAL, "key_invalid")
    assert found.now.is_unknown
    assert "Shop" in found.notes[0]
    assert "Version 1" in found.notes[1]


def test_what_is_sent_without_a_key_is_refused_at_any_time() -> None:
    found = explained(Caller().get("key"))

    assert found.then.code == found.now.code == "key_missing"


def test_full_limits_are_taken_from_the_record_and_asked_anew() -> None:
    issued = issue(limit_minute=1)
    answers = [call(issued, "GET", "key") for _ in range(2)]

    found = explained(answers[1])
    lifecycle.update(issued.key, actor=ACTOR, limit_minute=100)
    later = explain(found.log)

    assert (found.then.check, found.then.code) == (Check.LIMITS, "rate_limited")
    assert found.now.code == "rate_limited"
    assert later.then.code == "rate_limited"
    assert later.now.has_passed


def test_a_change_past_the_audit_trail_makes_its_setting_unknown() -> None:
    key = issue(permissions=[Permission.CUSTOMERS_READ]).key
    log = recorded(key, path="/api/production/v1/customers", status=401, code="key_expired")
    expire(key, ago=timedelta(days=1))

    found = explain(log)

    assert found.then.is_unknown
    assert found.then.check == Check.STATUS
    assert found.now.code == "key_expired"


def test_an_answer_that_nothing_explains_is_said_to_be_one() -> None:
    key = issue().key
    log = recorded(key, status=401, code="key_revoked")

    found = explain(log)

    assert not found.agrees
    assert "does not explain it" in found.summary


def test_a_change_that_commits_while_the_request_is_answered_is_seen_either_way() -> None:
    issued = issue()
    lifecycle.revoke(issued.key, actor=ACTOR)
    # As of a host whose clock is ahead: the event is of before the request that passed.
    passed = recorded(issued.key)
    refused = recorded(issued.key, status=401, code="key_revoked")

    assert explain(passed).agrees
    assert explain(refused).agrees


@pytest.mark.parametrize("code", ["validation_failed", "not_found", "unavailable"])
def test_what_a_key_is_not_the_reason_of_is_left_to_the_request(code: str) -> None:
    key = issue(permissions=[Permission.CUSTOMERS_READ]).key
    status = {"validation_failed": 400, "not_found": 404, "unavailable": 503}[code]
    log = recorded(key, path="/api/production/v1/customers", status=status, code=code)

    found = explain(log)

    assert (found.then.check, found.then.code) == (Check.REQUEST, code)
    assert found.now.is_unknown


def test_rules_are_replayed_in_the_order_that_they_had() -> None:
    key = issue().key
    before = parse_rules(["GET /v1/a any-key", "GET /v1/** stock:read", "GET /v1/b public"])
    service = services.create("stock", actor=ACTOR, rules=before)
    logs = [
        make_decision("stock", path="/v1/a", key=key),
        make_decision("stock", path="/v1/b", status=403, code="permission_denied", key=key),
        make_decision("stock", path="/v2", status=403, code="no_rule", key=key),
    ]
    services.update(service, actor=ACTOR, fields={}, rules=[before[0], before[2]])
    services.delete(service, actor=ACTOR)

    found = [explain(log) for log in logs]

    assert [one.agrees for one in found] == [True, True, True]
    assert [one.then.code for one in found] == ["", "permission_denied", "no_rule"]
    assert found[1].then.required_permission == "stock:read"
    assert {one.now.code for one in found} == {"unknown_service"}


def test_rules_of_before_their_places_were_recorded_are_not_guessed() -> None:
    key = issue().key
    service = services.create("stock", actor=ACTOR, rules=parse_rules(RULES[:1]))
    log = make_decision("stock", path="/v1/a", status=403, code="permission_denied", key=key)
    services.update(service, actor=ACTOR, fields={}, rules=())
    event = service_event()
    del event.changes["rule numbers"]
    event.save()

    found = explain(log)

    assert found.then.is_unknown
    assert found.now.code == "no_rule"


def service_event() -> Any:
    return Event.objects.filter(object_id="stock").order_by("-id")[0]
