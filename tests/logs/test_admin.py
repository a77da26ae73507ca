"""Requests in the admin: listed, narrowed, searched, shown, exported."""

import csv
import io
import json
import shlex
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from database.uuid7 import first_id_at, new_id
from logs.models import HourlyUsage, RequestLog
from tests.support.factories import (
    client_of,
    issue,
    make_customer,
    make_decision,
    make_request,
    make_staff,
)

pytestmark = pytest.mark.django_db

LIST = reverse("admin:logs_requestlog_changelist")


@pytest.fixture
def staff() -> Client:
    """Somebody who may only look."""
    return client_of("Auditor")


def listed(client: Client, query: str = "") -> list[str]:
    page = client.get(f"{LIST}?{query}")
    assert page.status_code == 200, page
    return [str(row.pk) for row in page.context["cl"].result_list]


def test_each_filter_narrows_the_list(staff: Client) -> None:
    key, customer = issue().key, make_customer()
    old = first_id_at(timezone.now() - timedelta(days=3))
    wanted = {
        "environment__exact=staging": make_request(environment="staging"),
        f"key__id__exact={key.pk}": make_request(key=key),
        f"customer__id__exact={customer.pk}": make_request(customer=customer),
        "status_class=5": make_request(status=503, code="unavailable"),
        "code=rate_limited": make_request(status=429, code="rate_limited"),
        "method=DELETE": make_request(method="DELETE"),
        "slow=1": make_request(duration=700_000),
        f"at_to_0={timezone.now() - timedelta(days=2):%Y-%m-%d}": make_request(id=old),
    }

    for query, request in wanted.items():
        assert listed(staff, query) == [str(request.pk)], query


def test_decisions_are_narrowed_to_a_service_that_has_some(staff: Client) -> None:
    request = make_request()
    decisions = [make_decision(service) for service in ("orders", None, "stock", "orders")]
    orders = [str(decisions[3].pk), str(decisions[0].pk)]

    offered = staff.get(LIST).context["cl"].filter_specs[4].lookup_choices

    assert offered == [("orders", "orders"), ("stock", "stock")]
    assert listed(staff, "service=orders") == orders
    assert listed(staff, "kind=request") == [str(request.pk)]
    assert listed(staff, "kind=decision") == [str(row.pk) for row in reversed(decisions)]


def test_a_service_without_decisions_lists_none(staff: Client) -> None:
    make_request()

    assert listed(staff, "service=orders") == []
    assert len(export(staff, "ndjson", "service=orders")) == 0


def test_the_page_of_a_decision_says_what_is_known(staff: Client) -> None:
    caller = issue(name="The verifier").key
    admitted = make_decision(key=issue().key, route="/v1/{id}")
    verified = make_decision(key=issue().key, caller=caller, address="")
    refused = make_decision(None, status=403, code="no_rule", host=None)

    pages = [
        staff.get(reverse("admin:logs_requestlog_change", args=(log.pk,))).content.decode()
        for log in (admitted, refused, make_request(), verified)
    ]
    text = staff.get(LIST).content.decode()

    assert "?service=orders" in pages[0]
    assert "orders.example" in pages[0]
    assert "<code>/v1/{id}</code>" in pages[0]
    assert "Rule for" not in pages[1]
    assert "Repeat it" in pages[0]
    assert f"/{caller.pk}/change/" in pages[3]
    # The headers on record are those of the question, which nobody wants to repeat elsewhere.
    assert "Repeat it" not in pages[3]
    assert ["Not told" in page for page in pages] == [False, False, False, True]
    assert "Latchkey admitted this request." in pages[0]
    assert "Latchkey refused this request." in pages[1]
    assert "No service" in pages[1]
    assert "not known here" not in pages[2]
    assert text.count('class="latchkey-tag"') == 3


def test_a_search_goes_by_what_the_term_looks_like(staff: Client) -> None:
    make_request()
    job = new_id()
    trace = "0af7651916cd43dd8448eb211c80319c"
    path = "/api/production/v1/somewhere/else"
    one = make_request(address="2001:db8::9", path=path, job_id=job, trace_id=trace)

    traced = (trace, f"00-{trace}-b7ad6b7169203331-01")
    for term in (str(one.pk), str(job), "2001:db8:0::9", "somewhere", *traced):
        assert listed(staff, f"q={term}") == [str(one.pk)], term
    assert listed(staff, "q=nowhere") == []


def test_pages_go_by_id_both_ways(staff: Client) -> None:
    made = [str(make_request().pk) for _ in range(120)][::-1]

    first = staff.get(LIST).context["cl"]
    second = staff.get(LIST + first.older).context["cl"]
    third = staff.get(LIST + second.older).context["cl"]
    back = staff.get(LIST + third.newer).context["cl"]

    pages = [[str(row.pk) for row in page.result_list] for page in (first, second, third, back)]
    assert pages[0] + pages[1] + pages[2] == made
    assert pages[3] == pages[1]
    assert (first.newer, third.older) == (None, None)
    assert (first.counted, first.is_more_than_counted) == (120, False)


def test_the_page_of_a_request_escapes_what_was_sent(staff: Client) -> None:
    content = {
        "request_headers": json.dumps({"User-Agent": "<script>alert(1)</script>"}),
        "request_body": '{"a": "</pre><script>alert(2)</script>"}',
        "response_body": '{"detail": "Why it was refused.", "errors": []}',
    }
    log = make_request(
        key=issue().key, status=400, code="validation_failed", path="/api/<b>x", content=content
    )

    page = staff.get(reverse("admin:logs_requestlog_change", args=(log.pk,))).content.decode()

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(2)" in page
    assert "Why it was refused." in page
    assert "curl -X GET -H" in page


def export(client: Client, form: str, query: str = "") -> str:
    address = reverse("admin:logs_requestlog_export", args=(form,))
    response: Any = client.get(f"{address}?{query}")
    assert response.status_code == 200
    return b"".join(response.streaming_content).decode()


def test_an_export_is_the_list_as_it_is_narrowed(staff: Client) -> None:
    make_request()
    wanted = make_request(method="DELETE", user_agent='=HYPERLINK("http://x")', query="a\nb")

    rows = list(csv.DictReader(io.StringIO(export(staff, "csv", "method=DELETE"))))
    (line,) = export(staff, "ndjson", "method=DELETE").splitlines()

    assert [row["id"] for row in rows] == [str(wanted.pk)]
    assert rows[0]["user_agent"] == '\'=HYPERLINK("http://x")'
    assert json.loads(line)["user_agent"] == '=HYPERLINK("http://x")'
    assert json.loads(line)["response_body"] == "{}"


def test_who_may_not_see_requests_sees_none() -> None:
    client = Client()
    client.force_login(make_staff())
    log = make_request()

    for address in (
        LIST,
        reverse("admin:logs_requestlog_change", args=(log.pk,)),
        reverse("admin:logs_requestlog_export", args=("csv",)),
    ):
        assert client.get(address).status_code == 403


def test_a_key_page_and_the_front_page_show_usage(staff: Client) -> None:
    key = issue(permissions=["customers:read"]).key

    page = staff.get(reverse("admin:apikeys_apikey_change", args=(key.pk,))).content.decode()
    front = staff.get(reverse("admin:index")).content.decode()

    assert "Granted and never used: Customer Read" in page
    assert "No request in the last 24 hours" in page
    assert "Busiest keys" in front


def curl_of(staff: Client, log: RequestLog) -> list[str]:
    page = staff.get(reverse("admin:logs_requestlog_change", args=(log.pk,)))
    return shlex.split(page.context["curl"])


def test_the_command_repeats_the_request_and_nothing_else(staff: Client) -> None:
    odd = make_request(path="/api/production/v1/customers/a b?x", query="limit=[1]")
    body = {"request_body": "@/etc/passwd"}
    uri = json.dumps({"Host": "keys.example", "X-Forwarded-Uri": "/v1/orders/5"})
    forwarded = {"request_headers": uri}
    https = json.dumps({"Host": "keys.example", "X-Forwarded-Proto": "https", "Cookie": "***"})
    secure = {"request_headers": https}

    assert curl_of(staff, odd) == [
        "curl", "--globoff",
        "http://localhost/api/production/v1/customers/a%20b%3Fx?limit=[1]",
    ]  # fmt: skip
    assert curl_of(staff, make_request(path="/x", content=body)) == [
        "curl", "-X", "GET", "--data-raw", "@/etc/passwd", "http://localhost/x",
    ]  # fmt: skip
    assert curl_of(staff, make_request(method="HEAD", path="/x")) == [
        "curl", "--head", "http://localhost/x",
    ]  # fmt: skip
    assert curl_of(staff, make_request(path="/x", content=secure)) == [
        "curl", "https://keys.example/x",
    ]  # fmt: skip
    assert curl_of(staff, make_decision(content=forwarded)) == [
        "curl", "http://orders.example/v1/orders/5",
    ]  # fmt: skip


def test_requests_about_a_customer_that_is_gone_are_found_and_exported(staff: Client) -> None:
    customer = make_customer()
    log = make_request(customer=customer)
    query = f"customer__id__exact={customer.pk}"
    customer.delete()

    assert listed(staff, query) == [str(log.pk)]
    assert str(log.pk) in export(staff, "csv", query)
    assert staff.get(reverse("admin:logs_requestlog_change", args=(log.pk,))).status_code == 200


@pytest.mark.parametrize("query", ["status_class=9", "code=nope", "method=nope"])
def test_a_filter_by_what_is_no_choice_exports_nothing(staff: Client, query: str) -> None:
    make_request()

    assert len(export(staff, "ndjson", query)) == 0


def test_an_export_shows_what_a_decision_was_about(staff: Client) -> None:
    caller = issue().key
    make_decision(caller=caller)

    (row,) = csv.DictReader(io.StringIO(export(staff, "csv", "kind=decision")))

    assert [row[name] for name in ("kind", "service", "host", "caller_id")] == [
        "decision", "orders", "orders.example", caller.pk,
    ]  # fmt: skip


def test_the_front_page_lists_services_if_there_are_any(staff: Client) -> None:
    hour = timezone.now().replace(minute=0, second=0, microsecond=0)
    before = staff.get(reverse("admin:index")).content.decode()
    HourlyUsage.objects.create(
        hour=hour, environment="production", service="orders", requests=7, succeeded=4, refused=3
    )

    after = staff.get(reverse("admin:index")).content.decode()

    assert "Busiest services" not in before
    assert "7 requests, 3 refused or failed" in after


def test_an_export_by_what_is_no_customer_is_no_crash(staff: Client) -> None:
    address = reverse("admin:logs_requestlog_export", args=("csv",))

    assert staff.get(f"{address}?customer__id__exact=xyz").status_code == 302
