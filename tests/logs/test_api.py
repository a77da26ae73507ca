"""The logs endpoints."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from apikeys import lifecycle
from apikeys.models import ApiKey
from apikeys.permissions import Permission
from customers.models import Customer
from database.uuid7 import first_id_at
from logs.models import RequestLog
from tests.support.api_client import Caller
from tests.support.factories import ACTOR, issue, make_customer, make_decision, make_request

pytestmark = pytest.mark.django_db


def test_a_key_reads_its_own_requests_newest_first_by_pages() -> None:
    issued = issue(permissions=[Permission.LOGS_READ])
    made = [make_request(key=issued.key) for _ in range(5)]
    make_request(key=issue().key)
    make_request(key=None, status=401, code="key_missing")
    caller = Caller(issued)

    first = caller.get("logs?limit=3").json()
    second = caller.get(f"logs?limit=3&cursor={first['next_cursor']}").json()

    found = [row["id"] for row in (*first["data"], *second["data"])]
    assert found == [str(log.pk) for log in reversed(made)]
    assert (first["has_more"], second["has_more"]) == (True, False)


def test_a_request_is_shown_with_its_headers_and_bodies() -> None:
    issued = issue(permissions=[Permission.LOGS_READ])
    log = make_request(key=issued.key, status=404, code="not_found", duration=1234)

    shown = Caller(issued).get(f"logs/{log.pk}").json()

    assert (shown["status"], shown["code"], shown["duration_ms"]) == (404, "not_found", 1.234)
    assert (shown["key"], shown["response_body"], shown["request_headers"]) == (
        issued.key.pk,
        "{}",
        {},
    )


def test_a_list_is_narrowed_by_its_filters() -> None:
    issued = issue(permissions=[Permission.LOGS_READ])
    customer = make_customer()
    wanted = make_request(
        key=issued.key, customer=customer, status=429, code="rate_limited", method="POST"
    )
    make_request(key=issued.key)
    caller = Caller(issued)
    now = timezone.now()

    for query in (
        "status=429",
        "code=rate_limited",
        "method=POST",
        f"customer={customer.pk}",
        f"code=rate_limited&after={(now - timedelta(minutes=1)):%Y-%m-%dT%H:%M:%SZ}",
    ):
        rows = caller.get(f"logs?{query}").json()["data"]
        assert [row["id"] for row in rows] == [str(wanted.pk)], query
    later = f"{(now + timedelta(minutes=1)):%Y-%m-%dT%H:%M:%SZ}"
    assert caller.get(f"logs?after={later}").json()["data"] == []
    assert caller.get("logs?nope=1").json()["code"] == "validation_failed"


def test_a_key_reads_the_decisions_about_itself_and_not_those_that_it_asked_for() -> None:
    issued = issue(permissions=[Permission.LOGS_READ])
    verifier = issue(permissions=[Permission.LOGS_READ])
    asked = make_decision(key=issued.key, caller=verifier.key)
    alone = make_decision(None, key=issued.key)
    own = make_request(key=issued.key)
    make_decision(key=issue().key)
    caller = Caller(issued)

    shown = caller.get(f"logs/{asked.pk}").json()
    lists = {
        query: [row["id"] for row in caller.get(f"logs?{query}").json()["data"]]
        for query in ("service=orders", "service=stock", "kind=decision", "kind=request&limit=1")
    }

    assert [shown[name] for name in ("kind", "service", "host", "caller")] == [
        "decision", "orders", "orders.example", verifier.key.pk,
    ]  # fmt: skip
    assert lists["service=orders"] == [str(asked.pk)]
    assert lists["service=stock"] == []
    assert lists["kind=decision"] == [str(alone.pk), str(asked.pk)]
    assert str(own.pk) not in lists["kind=decision"]
    assert caller.get("logs?kind=nope").json()["code"] == "validation_failed"
    assert Caller(verifier).get("logs?kind=decision").json()["data"] == []


def hold(**fields: Any) -> RequestLog:
    """Make a request whose query, headers and bodies hold something."""
    content = {
        "request_body": "held", "response_body": "held", "request_headers": '{"X": "held"}',
        "response_headers": '{"Y": "held"}',
    }  # fmt: skip
    return make_request(query="email=held@x.example", content=content, **fields)


def held(key: ApiKey, **customers: Customer | None) -> list[RequestLog]:
    """Make a request of the key about each customer; its route is the argument's name."""
    return [hold(key=key, customer=customer, route=route) for route, customer in customers.items()]


def shown(caller: Caller, logs: list[RequestLog]) -> dict[str, bool]:
    """Return, by the request's route, whether what was sent is shown, in list and detail alike."""
    rows = {row["id"]: row for row in caller.get("logs").json()["data"]}
    found = {}
    for log in logs:
        detail = caller.get(f"logs/{log.pk}")
        assert detail.json()["is_redacted"] == rows[str(log.pk)]["is_redacted"]
        is_shown = "held@x" in detail.text
        assert ("held@x" in str(rows[str(log.pk)])) == is_shown
        assert detail.text.count('"held"') == (4 if is_shown else 0)
        assert detail.json()["is_redacted"] != is_shown
        found[log.route] = is_shown
    return found


def test_a_key_is_shown_nothing_of_customers_that_it_no_longer_reaches() -> None:
    mine, lost = make_customer(), make_customer()
    issued = issue(permissions=[Permission.LOGS_READ], customers=[mine.pk, lost.pk])
    caller = Caller(issued)
    logs = held(issued.key, mine=mine, lost=lost, list=None)
    before = shown(caller, logs)

    lifecycle.update(issued.key, actor=ACTOR, customers=[mine.pk])
    later = first_id_at(timezone.now() + timedelta(seconds=61))
    logs.append(hold(key=issued.key, route="later list", id=later))
    narrowed = shown(caller, logs)
    lifecycle.update(issued.key, actor=ACTOR, customers=None)

    assert before == {"mine": True, "lost": True, "list": True}
    assert narrowed == {"mine": True, "lost": False, "list": False, "later list": True}
    assert set(shown(caller, logs).values()) == {True}


@pytest.mark.parametrize("is_suspension", [False, True])
def test_a_list_from_before_a_change_was_in_force_on_every_host_is_redacted(
    is_suspension: bool,
) -> None:
    mine, lost = make_customer(), make_customer()
    issued = issue(permissions=[Permission.LOGS_READ], customers=[mine.pk, lost.pk])
    changed_at = timezone.now()
    if is_suspension:
        lost.status = "suspended"
        lost.save()
    else:
        lifecycle.update(issued.key, actor=ACTOR, customers=[mine.pk])

    # Begun on a host whose clock is ahead, or while the change was not committed yet.
    logs = [
        hold(key=issued.key, route=route, id=first_id_at(changed_at + timedelta(seconds=seconds)))
        for route, seconds in (("at once", 1), ("in time", 59), ("later", 120))
    ]

    assert shown(Caller(issued), logs) == {"at once": False, "in time": False, "later": True}


def test_what_is_recorded_of_a_suspended_customer_is_redacted_until_it_is_active() -> None:
    mine, suspended = make_customer(), make_customer()
    issued = issue(permissions=[Permission.LOGS_READ], customers=[mine.pk, suspended.pk])
    caller = Caller(issued)
    logs = held(issued.key, mine=mine, suspended=suspended, list=None)

    suspended.status = "suspended"
    suspended.save()
    while_suspended = shown(caller, logs)
    suspended.status = "active"
    suspended.save()

    assert while_suspended == {"mine": True, "suspended": False, "list": False}
    assert set(shown(caller, logs).values()) == {True}


def test_a_key_that_is_scoped_from_now_on_is_shown_nothing_from_before() -> None:
    mine = make_customer()
    issued = issue(permissions=[Permission.LOGS_READ])
    logs = held(issued.key, mine=mine, other=make_customer(), list=None)

    lifecycle.update(issued.key, actor=ACTOR, customers=[mine.pk])

    assert shown(Caller(issued), logs) == {"mine": True, "other": False, "list": False}
