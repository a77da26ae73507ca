"""The telemetry endpoints."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, connections
from django.utils import timezone

from apikeys.permissions import Permission
from customers.models import TelemetryEvent, TelemetryTotal
from jobs.registry import Work, job_types
from tests.support.api_client import Caller
from tests.support.factories import ACTOR, issue, make_customer, make_event, make_license

pytestmark = pytest.mark.django_db

BOTH = [Permission.TELEMETRY_READ, Permission.TELEMETRY_WRITE]


@pytest.fixture
def caller() -> Caller:
    """A key that reads and writes telemetry."""
    return Caller(issue(permissions=BOTH))


def test_an_event_is_stored_and_shown(caller: Caller) -> None:
    license_ = make_license()
    sent = {
        "customer": str(license_.customer_id),
        "license": str(license_.pk),
        "type": "app.started",
        "event_id": "e-1",
        "occurred_at": "2026-01-31T10:00:00+02:00",
        "properties": {"version": "1.2", "nested": {"n": [1, 2.5, None]}},
    }

    made = caller.post("telemetry", sent)

    assert made.status_code == 201
    shown = caller.get(f"telemetry/{made.json()['id']}").json()
    assert shown == made.json()
    assert {name: shown[name] for name in sent} == sent | {"occurred_at": "2026-01-31T08:00:00Z"}


def test_a_sent_event_is_stored_as_the_model_stores_it(caller: Caller) -> None:
    license_ = make_license()
    for occurred_at in ("2026-01-31T10:00:00Z", "2026-01-31T10:00:00.25Z"):
        sent: dict[str, Any] = {
            "customer": str(license_.customer_id),
            "license": str(license_.pk),
            "type": "app.started",
            "occurred_at": occurred_at,
            "properties": {"name": 'Zoë \\ "x"', "n": [1e22, None, {}]},
        }
        caller.post("telemetry", {"events": [sent, {**sent, "license": None}]})

    rows = stored_rows()
    for event in TelemetryEvent.objects.all():
        event.save()

    assert len(rows) == 4
    assert stored_rows() == rows


def stored_rows() -> list[tuple[Any, ...]]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT * FROM customers_telemetryevent ORDER BY id")
        return [tuple(row) for row in cursor.fetchall()]


def test_a_retry_is_harmless_alone_and_in_a_batch(caller: Caller) -> None:
    customer = str(make_customer().pk)
    event = {"customer": customer, "type": "t", "event_id": "same"}

    first, again = caller.post("telemetry", event), caller.post("telemetry", event)
    batch = caller.post("telemetry", {"events": [event, {**event, "event_id": "b"}, event]})
    repeated = caller.post("telemetry", {"events": [event]})

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    assert [row["is_duplicate"] for row in batch.json()["data"]] == [True, False, True]
    assert (batch.status_code, repeated.status_code) == (201, 200)
    assert TelemetryEvent.objects.count() == 2


def test_the_same_event_id_of_two_customers_is_two_events(caller: Caller) -> None:
    for customer in (make_customer(), make_customer()):
        event = {"customer": str(customer.pk), "type": "t", "event_id": "same"}
        assert caller.post("telemetry", event).status_code == 201


def test_a_batch_with_one_wrong_event_stores_none_and_names_each_fault(caller: Caller) -> None:
    customer = str(make_customer().pk)
    good = {"customer": customer, "type": "t"}
    events: list[Any] = [
        good,
        {"customer": customer},
        {**good, "occurred_at": "yesterday"},
        {**good, "occurred_at": "2999-01-01T00:00:00Z"},
        {**good, "properties": [1]},
        {**good, "properties": {"x": "y" * 9000}},
        {**good, "event_id": 5},
        {**good, "nope": 1},
        {**good, "license": "x"},
        "no object",
    ]

    refused = caller.post("telemetry", {"events": events})

    assert refused.status_code == 400
    assert [error["field"] for error in refused.json()["errors"]] == [
        "events[1].type", "events[2].occurred_at", "events[3].occurred_at",
        "events[4].properties", "events[5].properties", "events[6].event_id", "events[7].nope",
        "events[8].license", "events[9]",
    ]  # fmt: skip
    assert not TelemetryEvent.objects.exists()


def test_properties_are_measured_in_bytes(caller: Caller) -> None:
    event = {"customer": str(make_customer().pk), "type": "t"}

    # Without blanks: {"x":"..."} is eight bytes around the text, and each of these takes two.
    fits = caller.post("telemetry", {**event, "properties": {"x": "é" * 4092}})
    too_large = caller.post("telemetry", {**event, "properties": {"x": "é" * 4093}})

    assert fits.status_code == 201
    assert [error["field"] for error in too_large.json()["errors"]] == ["properties"]


def test_whose_events_may_be_sent(caller: Caller) -> None:
    mine, other = make_customer(), make_customer()
    foreign = make_license(other)
    scoped = Caller(issue(permissions=BOTH, customers=[mine.pk]))

    good = scoped.post("telemetry", {"customer": str(mine.pk), "type": "t"})
    unseen = scoped.post("telemetry", {"customer": str(other.pk), "type": "t"})
    mixed = caller.post(
        "telemetry",
        {"events": [{"customer": str(mine.pk), "type": "t", "license": str(foreign.pk)}]},
    )

    assert good.status_code == 201
    assert [error["field"] for error in unseen.json()["errors"]] == ["customer"]
    assert [error["field"] for error in mixed.json()["errors"]] == ["events[0].license"]


@pytest.mark.parametrize("body", [{"events": []}, {"events": {}}, {"events": [], "x": 1}, []])
def test_what_is_no_batch_is_refused(caller: Caller, body: Any) -> None:
    assert caller.post("telemetry", body).json()["code"] == "validation_failed"


def test_a_batch_has_a_thousand_events_at_most(caller: Caller) -> None:
    customer = str(make_customer().pk)
    events = [{"customer": customer, "type": "t"}] * 1001

    assert caller.post("telemetry", {"events": events}).status_code == 400
    assert caller.post("telemetry", {"events": events[1:]}).status_code == 201
    assert TelemetryEvent.objects.count() == 1000


def test_a_list_is_narrowed_by_its_filters(caller: Caller) -> None:
    license_ = make_license()
    old = timezone.now() - timedelta(days=2)
    wanted = make_event(
        license_.customer, license=license_, type="wanted", event_id="w", occurred_at=old
    )
    make_event()

    for query in (
        f"customer={license_.customer_id}",
        f"license={license_.pk}",
        "type=wanted",
        "event_id=w",
        f"occurred_before={timezone.now() - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}",
    ):
        rows = caller.get(f"telemetry?{query}").json()["data"]
        assert [row["id"] for row in rows] == [str(wanted.pk)], query


def summary(caller: Caller, query: str = "") -> list[tuple[str, int]]:
    rows = caller.get(f"telemetry/summary?{query}").json()["data"]
    return [(row["type"], row["count"]) for row in rows]


def test_totals_follow_what_is_stored_and_purged(caller: Caller) -> None:
    license_ = make_license()
    mine, other = license_.customer, make_customer()
    events = [
        {"customer": str(mine.pk), "type": "a", "event_id": "1", "license": str(license_.pk)},
        {"customer": str(mine.pk), "type": "a", "event_id": "2"},
        {"customer": str(other.pk), "type": "a"},
        {"customer": str(other.pk), "type": "b"},
    ]
    for _ in range(2):
        # The second time only those without a name of their own are new.
        caller.post("telemetry", {"events": events})
    scoped = Caller(issue(permissions=BOTH, customers=[mine.pk]))

    assert summary(caller) == [("a", 4), ("b", 2)]
    assert summary(caller, "type=b") == [("b", 2)]
    assert summary(caller, f"customer={mine.pk}") == [("a", 2)]
    assert summary(caller, f"license={license_.pk}") == [("a", 1)]
    assert summary(caller, f"license={license_.pk}&customer={other.pk}") == []
    assert summary(scoped) == [("a", 2)]
    assert summary(scoped, f"customer={other.pk}") == []
    staging = issue(environment="staging", permissions=BOTH)
    assert summary(Caller(staging, environment="staging")) == []

    key = issue(permissions=BOTH).key
    params = {"occurred_before": "2999-01-01T00:00:00Z", "customer": str(mine.pk)}
    for _ in job_types()["telemetry.purge"].run(Work(key, ACTOR, params, {}, 0)):
        pass

    assert summary(caller) == [("a", 2), ("b", 2)]
    assert not TelemetryTotal.objects.filter(number=0).exists()
    assert not TelemetryTotal.objects.filter(subject=mine.pk).exists()


@pytest.mark.parametrize("end", ["occurred_before", "occurred_after"])
@pytest.mark.parametrize("at", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_a_summary_of_times_at_the_ends_of_the_calendar_is_no_crash(
    caller: Caller, end: str, at: str
) -> None:
    assert caller.get(f"telemetry/summary?{end}={at}").status_code in {200, 400}


def test_totals_by_type_and_hour(caller: Caller) -> None:
    customer = make_customer()
    hour = timezone.now().replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
    for kind, minutes in (("a", 0), ("a", 59), ("b", 1), ("a", 61)):
        make_event(customer, type=kind, occurred_at=hour + timedelta(minutes=minutes))
    make_event(customer, occurred_at=hour - timedelta(days=3))

    totals = caller.get("telemetry/summary").json()["data"]

    later, first = f"{hour + timedelta(hours=1):%Y-%m-%dT%H:00:00Z}", f"{hour:%Y-%m-%dT%H:00:00Z}"
    assert [(row["hour"], row["type"], row["count"]) for row in totals] == [
        (later, "a", 1), (first, "a", 2), (first, "b", 1),
    ]  # fmt: skip
    narrowed = caller.get(f"telemetry/summary?type=b&customer={customer.pk}").json()["data"]
    assert [row["count"] for row in narrowed] == [1]
    too_long = caller.get("telemetry/summary?occurred_after=2020-01-01T00:00:00Z")
    assert too_long.json()["code"] == "validation_failed"


def test_a_name_with_blanks_around_it_is_the_name_without(caller: Caller) -> None:
    event = {"customer": str(make_customer().pk), "type": "t", "event_id": " x "}

    made = caller.post("telemetry", event).json()

    assert [row["id"] for row in caller.get("telemetry?event_id=x").json()["data"]] == [made["id"]]


@pytest.mark.django_db(transaction=True)
def test_the_same_events_in_two_orders_at_once_are_stored_once() -> None:
    caller = Caller(issue(permissions=BOTH))
    customer = str(make_customer().pk)
    start = threading.Barrier(2)

    def send(events: list[dict[str, str]]) -> int:
        start.wait()
        try:
            return int(caller.post("telemetry", {"events": events}).status_code)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as pool:
        for number in range(8):
            events = [
                {"customer": customer, "type": "t", "event_id": f"{number}-{n}"} for n in range(300)
            ]
            assert sorted(pool.map(send, (events, events[::-1]))) == [200, 201]

    numbers = TelemetryTotal.objects.filter(subject=customer).values_list("number", flat=True)
    assert TelemetryEvent.objects.count() == 8 * 300
    assert sum(numbers) == 8 * 300
