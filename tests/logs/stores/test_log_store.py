"""What every store of the request log does; ``make test-clickhouse`` asks it of ClickHouse."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import OperationalError
from django.db.models import Sum
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from apikeys.permissions import Permission
from database.uuid7 import first_id_at, new_id
from logs import export, retention
from logs.capture.spool import files
from logs.middleware import spool
from logs.models import HourlyUsage, RequestContent, RequestLog, SpoolPosition
from logs.shipping import usage
from logs.shipping.shipper import Shipper
from logs.stores import log_store
from tests.support.api_client import Caller
from tests.support.factories import (
    client_of,
    issue,
    make_customer,
    make_decision,
    make_request,
    record,
    record_line,
)

pytestmark = pytest.mark.django_db

LIST = reverse("admin:logs_requestlog_changelist")
TRACE = UUID("0af7651916cd43dd8448eb211c80319c")


@pytest.fixture
def shipper() -> Iterator[Shipper]:
    """A shipper that has nothing left to ship from before."""
    for path in files(settings.LOG_SPOOL):
        path.write_bytes(b"")
    found = Shipper(settings.LOG_SPOOL)
    found.ship()
    yield found
    found.close()


def listed(staff: Client, query: str) -> list[str]:
    page = staff.get(f"{LIST}?{query}").context["cl"]
    return [str(row.pk) for row in page.result_list]


def test_a_record_is_read_back_in_every_field(shipper: Shipper) -> None:
    key, caller, customer = issue().key, issue().key, make_customer()
    sent = record(
        key=key.pk, secret_version=3, customer=str(customer.pk), job=str(new_id()), code="x",
        permission="customers:read", query="a=\\'%20\t", path="/é\n%_'\\", route="r/<uuid:id>",
        status=503, duration=700_001, request_bytes=2**40, response_bytes=7, user_agent="ü/1",
        address="2001:db8::7", request_headers={"A": "ä\n'"}, response_headers={"B": "\\"},
        request_body='{"q": "\'"}', response_body="\x00 %s {n}", cut=2, kind="decision",
        service="orders", host="o.example", caller=caller.pk, phases="1,2,3,4", trace=TRACE.hex,
    )  # fmt: skip
    # PostgreSQL stores no NUL, and what is recorded has none.
    sent = sent._replace(response_body=sent.response_body.replace("\x00", ""))
    spool().append(record_line(**sent._asdict()))

    assert shipper.ship() == 1

    row = RequestLog.objects.get(pk=sent.id)
    assert row.at.timestamp() * 1_000_000 == pytest.approx(sent.at, abs=1)
    assert (row.key, row.caller, row.customer) == (key, caller, customer)
    for name in (
        "secret_version", "permission", "method", "path", "route", "query", "status", "code",
        "duration", "request_bytes", "response_bytes", "address", "user_agent", "kind", "service",
        "host", "phases", "environment", "trace",
    ):  # fmt: skip
        assert getattr(row, name) == getattr(sent, name), name
    assert (row.status_class, row.is_slow, str(row.job_id)) == (5, True, sent.job)
    content = RequestContent.objects.get(pk=UUID(sent.id))
    assert json.loads(content.request_headers) == sent.request_headers
    assert json.loads(content.response_headers) == sent.response_headers
    assert (content.request_body, content.response_body) == (sent.request_body, sent.response_body)
    assert (content.is_request_cut, content.is_response_cut) == (False, True)


def test_what_may_be_absent_is_absent(shipper: Shipper) -> None:
    spool().append(record_line(environment=None))
    shipper.ship()

    row = RequestLog.objects.get()

    names = ("environment", "key", "customer", "job_id", "permission", "service", "host", "caller",
             "phases", "trace", "secret_version")  # fmt: skip
    assert {name: getattr(row, name) for name in names} == dict.fromkeys(names)


def test_a_batch_that_was_stored_and_not_counted_is_counted_and_stored_once(
    shipper: Shipper, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        spool().append(record_line())
    tries = []

    def fail(records: Any) -> None:
        tries.append(len(records))
        raise OperationalError("the database is away")

    with monkeypatch.context() as patch:
        patch.setattr(usage, "add", fail)
        with pytest.raises(OperationalError):
            shipper.ship()
    # What comes in meanwhile is no part of the batch that was begun.
    spool().append(record_line())

    assert shipper.ship() == 4
    assert tries == [3]
    assert RequestLog.objects.count() == 4
    assert HourlyUsage.objects.aggregate(sum=Sum("requests"))["sum"] == 4
    assert not SpoolPosition.objects.exclude(fixed_to=None).exists()
    assert shipper.ship() == 0


@pytest.fixture
def staff() -> Client:
    """The browser of somebody who may look, and no more."""
    return client_of("Auditor")


def test_a_list_is_narrowed_by_each_filter(staff: Client) -> None:
    key, customer = issue().key, make_customer()
    yesterday = timezone.now() - timedelta(days=1)
    wanted = {
        f"key__id__exact={key.pk}": make_request(key=key),
        f"customer__id__exact={customer.pk}": make_request(customer=customer),
        "environment__exact=staging": make_request(environment="staging"),
        "kind=decision&service=orders": make_decision(),
        "service=stock": make_decision("stock"),
        "status_class=5": make_request(status=503),
        "code=rate_limited": make_request(status=429, code="rate_limited"),
        "method=DELETE": make_request(method="DELETE"),
        "slow=1": make_request(duration=900_000),
        f"at_to_0={yesterday:%Y-%m-%d}": make_request(id=first_id_at(yesterday)),
        "docs=shown&q=/api/docs": make_request(path="/api/docs"),
    }
    make_request()

    assert {query: listed(staff, query) for query in wanted} == {
        query: [str(row.pk)] for query, row in wanted.items()
    }
    both = f"key__id__exact={key.pk}&status_class=5"
    assert listed(staff, both) == []
    assert len(listed(staff, "")) == len(wanted)
    assert log_store().service_names(9) == ["orders", "stock"]


def test_a_search_goes_by_id_job_trace_address_and_path(staff: Client) -> None:
    wanted = make_request(
        job_id=new_id(), trace_id=TRACE, address="2001:db8::9", path="/api/production/v1/a%b_c'd\\e"
    )
    make_request(path="/api/production/v1/axb_c'd\\e")
    parent = f"00-{TRACE.hex}-b7ad6b7169203331-01"

    for term in (wanted.pk, wanted.job_id, TRACE, parent, "2001:DB8::9", "a%25b_c'd\\e"):
        assert listed(staff, f"q={term}") == [str(wanted.pk)], term
    assert listed(staff, "q=nothing-like-this") == []


def test_pages_go_back_and_forth_without_a_gap(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("logs.admin.requests.RequestLogAdmin.list_per_page", 3)
    made = [str(make_request().pk) for _ in range(8)][::-1]
    there: list[list[str]] = []
    back: list[list[str]] = []
    address: Any = ""
    newer: Any = None

    while address is not None:
        page = staff.get(LIST + address).context["cl"]
        there.append([str(row.pk) for row in page.result_list])
        address, newer = page.older, page.newer
    while newer is not None:
        page = staff.get(LIST + newer).context["cl"]
        back.append([str(row.pk) for row in page.result_list])
        newer = page.newer

    assert there == [made[:3], made[3:6], made[6:]]
    assert back == there[1::-1]


def test_what_a_page_does_not_reach_is_found_by_looking_on(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("walks", "stores.clickhouse"):
        monkeypatch.setattr(f"logs.{name}.MAX_WALKED", 2)
    now, wanted, others = timezone.now(), [], "method=POST&status_class=5"
    for days in range(4):
        at = first_id_at(now - timedelta(days=days))
        wanted.append(str(make_request(id=at, method="POST", status=503).pk))
        for minutes in range(1, 4):
            at = first_id_at(now - timedelta(days=days, minutes=minutes))
            make_request(id=at, method="POST" if minutes % 2 else "GET", status=200 + minutes)
    oldest = first_id_at(now - timedelta(days=9))

    def walked(address: str | None, direction: str) -> tuple[list[str], int]:
        found: list[str] = []
        pages = 0
        while address:
            page = staff.get(LIST + address).context["cl"]
            rows = [str(row.pk) for row in page.result_list]
            found = found + rows if direction == "older" else rows + found
            address, pages = getattr(page, direction), pages + 1
        return found, pages

    back, pages_back = walked(f"?{others}", "older")
    forth, pages_forth = walked(f"?{others}&p=after-{oldest}", "newer")

    assert back == forth == wanted
    assert pages_back > 1
    assert pages_forth > 1
    address = reverse("admin:logs_requestlog_export", args=["ndjson"])
    answer: Any = staff.get(f"{address}?{others}")
    lines = b"".join(answer.streaming_content).decode().splitlines()
    assert [json.loads(line)["id"] for line in lines] == wanted


def test_an_export_holds_the_filtered_rows_with_their_content(
    staff: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "CHUNK", 2)
    made = [
        make_request(method="POST", content={"response_body": f"body {number}"})
        for number in range(5)
    ][::-1]
    make_request()

    def exported(form: str) -> str:
        address = reverse("admin:logs_requestlog_export", args=[form])
        answer: Any = staff.get(f"{address}?method=POST")
        return b"".join(answer.streaming_content).decode()

    as_csv = list(csv.DictReader(io.StringIO(exported("csv"))))
    as_json = [json.loads(line) for line in exported("ndjson").splitlines()]

    for rows in (as_csv, as_json):
        assert [row["id"] for row in rows] == [str(row.pk) for row in made]
        assert [row["response_body"] for row in rows] == [f"body {n}" for n in (4, 3, 2, 1, 0)]


def test_the_page_of_a_request_shows_what_belongs_to_it(staff: Client) -> None:
    issued, customer = issue(name="Its key"), make_customer(name="Its customer")
    row = make_request(
        key=issued.key, customer=customer, content={"request_body": '{"sent": "this"}'}
    )

    page = staff.get(reverse("admin:logs_requestlog_change", args=(row.pk,))).content.decode()

    assert "Its customer" in page
    assert "sent" in page
    listing = staff.get(LIST).content.decode()
    assert "Its key" in listing
    assert "Its customer" in listing


def test_the_live_tail_answers_what_came_since(staff: Client) -> None:
    seen = make_request(id=first_id_at(timezone.now() - timedelta(minutes=1)))
    new = make_request()
    address = reverse("admin:logs_requestlog_tail", args=(new.pk,))

    page = staff.get(address)

    assert str(new.pk) in page.content.decode()
    assert str(seen.pk) not in page.content.decode()
    assert staff.get(address, {"tag": page.context["cl"].tag}).status_code == 204


def test_charts_and_facts_count_what_is_in_the_log(staff: Client) -> None:
    key = issue().key
    for _ in range(2):
        make_request(key=key, status=403, code="permission_denied", route="customers")
    make_request(key=key, route="customers")

    page = staff.get(reverse("admin:apikeys_apikey_change", args=(key.pk,)), {"tab": "requests"})
    front = staff.get(reverse("admin:index"))

    assert "GET customers" in page.content.decode()
    assert "permission_denied" in page.content.decode()
    assert front.context["refusals"] == [("permission_denied", 2)]


def test_a_key_lists_and_shows_its_requests_by_pages() -> None:
    issued, customer = issue(permissions=[Permission.LOGS_READ]), make_customer()
    made = [make_request(key=issued.key, customer=customer, trace_id=TRACE) for _ in range(3)]
    make_request(key=issue().key)
    caller = Caller(issued)

    first = caller.get("logs?limit=2").json()
    second = caller.get(f"logs?limit=2&cursor={first['next_cursor']}").json()
    shown = caller.get(f"logs/{made[0].pk}").json()

    found = [row["id"] for row in (*first["data"], *second["data"])]
    assert found == [str(row.pk) for row in reversed(made)]
    assert (shown["customer"], shown["response_body"]) == (str(customer.pk), "{}")
    for query in (f"customer={customer.pk}", f"trace_id={TRACE}", "status=200", "method=GET"):
        assert len(caller.get(f"logs?{query}").json()["data"]) == 3, query
    assert caller.get("logs?status=404").json()["data"] == []
    assert caller.get(f"logs/{new_id()}").status_code == 404


def test_what_is_older_is_deleted_and_the_rest_stays() -> None:
    now = timezone.now()
    for days in (20, 12):
        make_request(id=first_id_at(now - timedelta(days=days)))
    young = make_request(id=first_id_at(now - timedelta(days=8)))

    assert retention.count(now - timedelta(days=10)) == 2
    call_command("prune_logs", "--older-than", "10d")

    assert [row.pk for row in RequestLog.objects.all()] == [young.pk]
    assert [row.pk for row in RequestContent.objects.all()] == [young.pk]
