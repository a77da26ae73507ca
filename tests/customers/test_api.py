"""The customers endpoints."""

import itertools
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from apikeys.environments import Environment
from audit.models import Event
from customers.customers import lifecycle
from customers.models import Customer
from tests.support.api_client import Caller
from tests.support.factories import ACTOR, issue, make_customer, make_staff

pytestmark = pytest.mark.django_db

ALL = ["customers:read", "customers:write"]


def caller(**settings: Any) -> Caller:
    return Caller(issue(permissions=ALL, **settings))


def test_a_customer_is_made_shown_changed_and_deleted() -> None:
    api = caller()
    body = {
        "name": "Müller & Söhne 🚂",
        "email": "post@mueller.example",
        "external_reference": "CRM-7",
        "metadata": {"b": 1e2, "a": [1.0, {"z": None}], "n": 10**30},
    }

    made = api.post("customers", body)
    path = f"customers/{made.json()['id']}"
    changed = api.patch(path, {"email": "", "status": "suspended"})
    shown = api.get(path)
    deleted = api.delete(path)

    assert made.status_code == 201
    assert made["Location"] == f"/api/production/v1/{path}"
    assert {name: made.json()[name] for name in body} == body
    assert list(made.json()["metadata"]) == ["b", "a", "n"]
    assert made.json()["created_at"].endswith("Z")
    assert changed.json() == shown.json()
    assert (shown.json()["name"], shown.json()["email"]) == (body["name"], "")
    assert shown.json()["metadata"] == body["metadata"]
    assert (deleted.status_code, deleted.content) == (204, b"")
    assert api.get(path).status_code == 404


def test_a_reference_that_is_taken_is_a_conflict_and_changes_nothing() -> None:
    api = caller()
    api.post("customers", {"name": "First", "external_reference": "R"})
    second = api.post("customers", {"name": "Second"}).json()["id"]

    made = api.post("customers", {"name": "Third", "external_reference": "R"})
    changed = api.patch(f"customers/{second}", {"name": "New", "external_reference": "R"})

    assert (made.status_code, changed.status_code) == (409, 409)
    assert made.json()["code"] == "conflict"
    assert Customer.objects.get(pk=second).name == "Second"
    assert Customer.objects.count() == 2


def test_the_same_reference_may_be_used_in_another_environment() -> None:
    for environment in Environment:
        issued = issue(permissions=ALL, environment=environment)
        api = Caller(issued, environment=environment)

        response = api.post("customers", {"name": "Same", "external_reference": "R"})

        assert response.status_code == 201
        assert response.json()["environment"] == environment


def walk(api: Caller, query: str = "") -> list[str]:
    names, cursor = [], ""
    while True:
        page = api.get(f"customers?limit=3{query}{cursor}").json()
        names += [row["name"] for row in page["data"]]
        assert page["has_more"] == (page["next_cursor"] is not None)
        if not page["has_more"]:
            return names
        cursor = f"&cursor={page['next_cursor']}"


def test_pages_are_newest_first_and_complete() -> None:
    api = caller()
    made = [make_customer().name for _ in range(10)]
    make_customer(environment=Environment.STAGING)

    assert walk(api) == made[::-1]


def test_pages_stay_stable_while_rows_are_added() -> None:
    api = caller()
    made = [make_customer().name for _ in range(6)]
    first = api.get("customers?limit=3").json()

    make_customer()
    second = api.get(f"customers?limit=3&cursor={first['next_cursor']}").json()

    names = [row["name"] for row in first["data"] + second["data"]]
    assert names == made[::-1]
    assert not second["has_more"]


def test_a_list_is_narrowed_by_its_fields() -> None:
    api = caller()
    made = make_customer(
        name="Ada", email="ada@x.example", external_reference="A", status="suspended"
    )
    make_customer(name="Bob")
    after = made.created_at.isoformat().replace("+00:00", "Z")

    for query in ("name=Ada", "email=ada@x.example", "external_reference=A", "status=suspended",
                  f"created_before={after[:-4]}999Z&name=Ada"):  # fmt: skip
        assert walk(api, f"&{query}") == ["Ada"], query
    assert walk(api, f"&created_after={after}") == ["Bob"]


def test_a_scoped_key_sees_and_changes_its_customers_only() -> None:
    mine, other = make_customer(name="Mine"), make_customer(name="Other")
    api = caller(customers=[mine.pk])

    assert walk(api) == ["Mine"]
    assert api.get(f"customers/{mine.pk}").status_code == 200
    for method in ("GET", "PATCH", "DELETE"):
        body = {"name": "Taken"} if method == "PATCH" else None
        assert api.call(method, f"customers/{other.pk}", body).status_code == 404
    other.refresh_from_db()
    assert other.name == "Other"


def test_a_scoped_key_does_not_resume_a_customer_suspended_since_its_request_began(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    customer = make_customer()
    api = caller(customers=[customer.pk])
    update = lifecycle.update

    def after_suspension(found: Customer, **changes: Any) -> Customer:
        update(found, actor=ACTOR, fields={"status": "suspended"})
        return update(found, **changes)

    monkeypatch.setattr(lifecycle, "update", after_suspension)

    assert api.patch(f"customers/{customer.pk}", {"status": "active"}).status_code == 404
    customer.refresh_from_db()
    assert customer.status == "suspended"


def test_a_scoped_key_makes_no_customer() -> None:
    response = caller(customers=[make_customer().pk]).post("customers", {"name": "New"})

    assert (response.status_code, response.json()["code"]) == (403, "permission_denied")
    assert Customer.objects.count() == 1


def test_a_key_scoped_to_nobody_sees_nobody() -> None:
    make_customer()

    assert walk(caller(customers=[])) == []


def test_what_is_absent_and_what_must_not_be_seen_are_told_apart_by_nothing() -> None:
    hidden = [
        make_customer(environment=Environment.STAGING).pk,
        make_customer().pk,
        "01a20788-3a4a-7000-9d64-4c64e6723ee9",
    ]
    api = caller(customers=[make_customer().pk])

    answers = set()
    for customer, method in itertools.product(hidden, ("GET", "DELETE")):
        response = api.call(method, f"customers/{customer}")
        body = response.content.replace(response["X-Request-ID"].encode(), b"")
        answers.add((response.status_code, body, response["Content-Length"]))

    assert len(answers) == 1
    assert next(iter(answers))[0] == 404


@pytest.mark.parametrize("source", ["API", "admin"])
def test_deleting_a_customer_takes_it_out_of_keys_on_record(source: str) -> None:
    gone, kept = make_customer(), make_customer()
    key = issue(customers=[gone.pk, kept.pk]).key

    if source == "API":
        Caller(issue(permissions=["customers:write"])).delete(f"customers/{gone.pk}")
    else:
        client = Client()
        client.force_login(make_staff("Key administrator"))
        client.post(reverse("admin:customers_customer_delete", args=(gone.pk,)), {"post": "yes"})

    event = Event.objects.about(key).get(action="updated")
    assert not Customer.objects.filter(pk=gone.pk).exists()
    assert [scope.customer_id for scope in key.scope.all()] == [kept.pk]
    assert str(gone.pk) in event.changes["customers"][0]
    assert event.changes["customers"][1] == str(kept.pk)


def test_a_scoped_key_learns_no_reference_of_a_customer_that_it_does_not_reach() -> None:
    mine, also_mine = (make_customer(external_reference=name) for name in ("MINE", "ALSO"))
    hidden = make_customer(external_reference="HIDDEN")
    make_customer(environment=Environment.STAGING, external_reference="STAGING")
    api = caller(customers=[mine.pk, also_mine.pk])

    answers = set()
    for reference in (hidden.external_reference, "FREE", "STAGING", "ALSO", None):
        answer = api.patch(f"customers/{mine.pk}", {"external_reference": reference})
        body = answer.content.replace(answer["X-Request-ID"].encode(), b"")
        answers.add((answer.status_code, body))

    assert len(answers) == 1
    assert next(iter(answers))[0] == 403
    mine.refresh_from_db()
    assert mine.external_reference == "MINE"


def test_a_scoped_key_may_send_back_the_reference_that_it_read() -> None:
    mine = make_customer(external_reference="MINE")

    answer = caller(customers=[mine.pk]).patch(
        f"customers/{mine.pk}", {"name": "New", "external_reference": "MINE"}
    )

    assert (answer.status_code, answer.json()["name"]) == (200, "New")


@pytest.mark.parametrize("name", ["Pay\u202eroll", "\u200b", "two\nlines", "\u3164", "\ufe0f"])
def test_a_name_that_cannot_be_seen_is_refused(name: str) -> None:
    api = Caller(issue(permissions=["customers:write", "licenses:manage"]))
    customer = make_customer()

    made = api.post("customers", {"name": name})
    licensed = api.post("licenses", {"customer": str(customer.pk), "product": name})

    assert [error["field"] for error in made.json()["errors"]] == ["name"]
    assert [error["field"] for error in licensed.json()["errors"]] == ["product"]
