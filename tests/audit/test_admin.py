"""The page of the audit trail."""

import csv
import io
import json

import pytest
from django.contrib.auth.models import Permission
from django.db import connection
from django.test import Client
from django.urls import reverse

from apikeys import catalogue, lifecycle
from audit.differences import differences
from audit.models import Event
from audit.trail import record
from tests.support.factories import ACTOR, client_of, issue, make_customer, make_staff

pytestmark = pytest.mark.django_db

LIST = reverse("admin:audit_event_changelist")


@pytest.fixture
def auditor() -> Client:
    """A client of an auditor."""
    return client_of("Auditor")


def listed(client: Client, **query: str) -> list[str]:
    rows = client.get(LIST, query).context["cl"].result_list
    return [event.object_label for event in rows]


def test_the_list_is_narrowed_by_each_filter_and_found_by_each_name(auditor: Client) -> None:
    key, other = issue(name="Billing", environment="staging").key, issue(name="Portal").key
    lifecycle.revoke(key, actor=ACTOR, reason="Lost")
    catalogue.create("orders:read", actor=ACTOR, label="Orders")

    assert listed(auditor) == ["orders:read", "Billing", "Portal", "Billing"]
    assert listed(auditor, object_type="apikeys.custompermission") == ["orders:read"]
    assert listed(auditor, action="revoked") == ["Billing"]
    assert listed(auditor, environment="production") == ["Portal"]
    assert listed(auditor, source__exact="admin") == []
    assert listed(auditor, actor_name="a test", q=other.pk) == ["Portal"]
    assert listed(auditor, q="illin") == ["Billing", "Billing"]
    assert len(listed(auditor, q="a test")) == 4
    assert listed(auditor, created_at_from_0="2100-01-01") == []


@pytest.fixture
def long_trail() -> None:
    """Many events of other objects: of few, a planner reads any index or none."""
    types = ["apikeys.apikey", "customers.customer", "gateway.service"]
    Event.objects.bulk_create(
        Event(source=ACTOR.source, action="updated", object_type=types[n % 3], object_id=str(n))
        for n in range(3000)
    )
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE audit_event")


@pytest.mark.usefixtures("long_trail")
def test_an_objects_events_are_searched_by_an_index(auditor: Client) -> None:
    key = issue().key

    plan = auditor.get(LIST, {"q": key.pk}).context["cl"].queryset.order_by().explain()

    assert "event_of_object" in plan


@pytest.mark.usefixtures("long_trail")
def test_the_events_of_a_kind_are_listed_by_an_index(auditor: Client) -> None:
    page = auditor.get(LIST, {"object_type": "jobs.job"}).context["cl"]

    assert "event_by_kind" in page.queryset.order_by("-pk")[:50].explain()


def test_events_link_to_objects_that_are_there_and_may_be_seen(auditor: Client) -> None:
    permission = catalogue.create("orders:read", actor=ACTOR, label="Orders")
    page = reverse("admin:apikeys_custompermission_change", args=(permission.pk,))
    only_trail = make_staff()
    only_trail.user_permissions.add(Permission.objects.get(codename="view_event"))

    assert page in auditor.get(LIST).text
    assert page not in client_of(only_trail).get(LIST).text
    catalogue.delete(permission, actor=ACTOR)
    assert page not in auditor.get(LIST).text


def test_an_event_that_was_altered_to_name_what_is_no_id_is_still_listed(auditor: Client) -> None:
    lifecycle.revoke(issue(name="Altered").key, actor=ACTOR)
    Event.objects.update(object_type="customers.customer", object_id="no uuid")

    answer = auditor.get(LIST)

    assert answer.status_code == 200
    assert "Altered" in answer.text


def test_who_may_not_see_an_object_of_a_kind_does_not_see_its_events(auditor: Client) -> None:
    from_customers = make_customer(name="Acme")
    event = Event.objects.create(
        source="admin", actor_name="ada", action="updated", object_type="customers.customer",
        object_id=str(from_customers.pk), object_label="Acme",
    )  # fmt: skip
    only_trail = make_staff()
    only_trail.user_permissions.add(Permission.objects.get(codename="view_event"))
    client = client_of(only_trail)

    assert listed(auditor) == ["Acme"]
    assert listed(client) == []
    assert client.get(reverse("admin:audit_event_change", args=(event.pk,))).status_code == 404
    assert "Acme" not in "".join(
        part.decode() for part in client.get(reverse("admin:audit_event_export", args=["csv"]))
    )


def test_an_event_shows_what_its_lists_lost_and_got(auditor: Client) -> None:
    key = issue(permissions=["jobs:run", "logs:read"]).key
    lifecycle.update(key, actor=ACTOR, permissions=["logs:read", "jobs:read"], limit_minute=5)
    event = Event.objects.about(key)[0]

    page = auditor.get(reverse("admin:audit_event_change", args=(event.pk,))).text

    assert [tuple(one) for one in differences(event.changes)] == [
        ("permissions", True, ["jobs:run"], ["jobs:read"]),
        ("limit per minute", False, ["default"], ["5"]),
    ]
    assert "<ins>+ jobs:read</ins>" in page
    assert "jobs:run</del>" in page


def test_what_is_listed_is_exported_and_the_export_is_on_record(auditor: Client) -> None:
    issue(name="=cmd()")
    issue(name="Portal")

    def exported(form: str, **query: str) -> str:
        response = auditor.get(reverse("admin:audit_event_export", args=[form]), query)
        return "".join(part.decode() for part in response)

    rows = list(csv.DictReader(io.StringIO(exported("csv", action="created"))))
    (line,) = exported("ndjson", q="Portal").splitlines()

    assert [row["label"] for row in rows] == ["Portal", "'=cmd()"]
    assert json.loads(line)["changes"]["name"] == [None, "Portal"]
    assert [event.changes["format"][1] for event in Event.objects.filter(action="exported")] == [
        "ndjson", "csv",
    ]  # fmt: skip
    assert client_of(make_staff()).get(LIST).status_code == 403


def test_changes_have_the_labels_of_forms_and_the_times_of_pages(auditor: Client) -> None:
    person = make_staff()
    changes = {"is_staff": [False, True], "old_secret_stops": [None, "2026-11-24T21:20:49+00:00"]}
    event = record(person, "updated", ACTOR, changes)

    page = auditor.get(reverse("admin:audit_event_change", args=(event.pk,))).text

    assert "<strong>Staff status</strong>" in page
    assert "<strong>Old secret stops</strong>" in page
    assert "2026-11-24 21:20:49 UTC</time>" in page
