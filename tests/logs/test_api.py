"""The logs endpoints."""

from datetime import timedelta

import pytest
from django.utils import timezone

from apikeys.permissions import Permission
from tests.api import Caller
from tests.factories import issue, make_customer, make_request

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
