"""The trace of a request: read to the letter, kept with the record, and found by it."""

from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.urls import reverse

from apikeys.permissions import Permission
from logs.capture.spool import files
from logs.capture.traceparent import parse
from logs.models import RequestLog
from logs.shipping.shipper import Shipper
from tests.support.api_client import Caller, EdgeCaller, record_of
from tests.support.factories import issue, make_request, make_staff

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
OTHER = "1" * 32
FIELD = f"00-{TRACE}-{PARENT}-01"


@pytest.mark.parametrize(
    ("text", "is_sampled"),
    [
        (FIELD, True), (f"00-{TRACE}-{PARENT}-00", False), (f"00-{TRACE}-{PARENT}-ff", True),
        # A later version, which may say more.
        (f"cc-{TRACE}-{PARENT}-01", True), (f"cc-{TRACE}-{PARENT}-01-what-the-future-brings", True),
    ],
)  # fmt: skip
def test_what_the_standard_allows_is_read(text: str, is_sampled: bool) -> None:
    assert parse(text) == (text, TRACE, PARENT, is_sampled)


@pytest.mark.parametrize(
    "text",
    [
        "", "00", TRACE, FIELD[:-1], f"{FIELD}0", f"{FIELD}-more", f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE.upper()}-{PARENT}-01", f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{PARENT}-0g", f"00_{TRACE}_{PARENT}_01", f" {FIELD}", f"{FIELD}\n",
        f"{FIELD},{FIELD}", f"cc-{TRACE}-{PARENT}-01more", f"cc-{TRACE}-{PARENT}-01-{'x' * 300}",
        f"00-{TRACE[:-1]}\u0661-{PARENT}-01", f"cc-{TRACE}-{PARENT}-01-\n",
    ],
)  # fmt: skip
def test_anything_else_is_no_trace(text: str) -> None:
    assert parse(text) is None


@pytest.mark.django_db
@pytest.mark.parametrize("kind", [Caller, EdgeCaller])
def test_the_trace_of_a_request_and_of_a_decision_is_stored_and_found(kind: Any) -> None:
    caller = kind(
        issue(permissions=[Permission.KEYS_VERIFY, Permission.LOGS_READ]), HTTP_TRACEPARENT=FIELD
    )
    for earlier in files(settings.LOG_SPOOL):
        earlier.write_bytes(b"")
    answers = [
        caller.get("key"),
        caller.post("keys/verify", {"key": issue().credential}),
        caller.get("customers", HTTP_TRACEPARENT=f"00-{OTHER}-{PARENT}-01"),
        caller.get("customers", HTTP_TRACEPARENT="no trace"),
    ]

    assert [record_of(answer).trace for answer in answers] == [TRACE, TRACE, OTHER, None]

    shipper = Shipper(settings.LOG_SPOOL)
    shipper.ship()
    shipper.close()

    ids = [answer.headers["X-Request-ID"] for answer in answers]
    rows = RequestLog.objects.filter(pk__in=ids)
    assert {str(row.pk) for row in rows.filter(trace_id=TRACE)} == set(ids[:2])
    listed = caller.get(f"logs?trace_id={TRACE}").json()["data"]
    # Of the decision only the presented key sees the record.
    assert [(row["id"], row["trace_id"]) for row in listed] == [(ids[0], TRACE)]
    assert caller.get("logs?trace_id=none").status_code == 400


@pytest.mark.django_db
def test_the_page_of_a_request_leads_to_the_others_of_its_trace() -> None:
    staff = Client()
    staff.force_login(make_staff("Auditor"))
    one, _ = make_request(trace_id=TRACE), make_request()

    page = staff.get(reverse("admin:logs_requestlog_change", args=(one.pk,))).content.decode()
    found = staff.get(f"/admin/search/?q={FIELD}")

    assert f'/admin/logs/requestlog/?q={TRACE}"' in page
    assert found.url == reverse("admin:logs_requestlog_change", args=(one.pk,))


@pytest.mark.django_db
def test_requests_of_a_trace_are_found_by_an_index_that_others_are_not_in() -> None:
    rows = RequestLog.objects.filter(trace_id=TRACE).newest_first()

    assert "request_by_trace" in plan(rows)

    (index,) = (one for one in RequestLog._meta.indexes if one.name == "request_by_trace")
    assert "trace_id__isnull" in str(index.condition)


def plan(rows: Any) -> str:
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL enable_seqscan = off")
    return str(rows.explain())
