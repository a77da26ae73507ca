"""A POST sent again under one Idempotency-Key."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from apikeys import lifecycle
from apikeys.guard import idempotency
from apikeys.models import IdempotentRequest
from customers.models import Customer
from tests.support.api_client import Caller
from tests.support.factories import ACTOR, issue, make_customer

pytestmark = pytest.mark.django_db

WRITE = ["customers:read", "customers:write"]


def post(caller: Caller, body: Any, name: str = "order-1", path: str = "customers") -> Any:
    return caller.post(path, body, HTTP_IDEMPOTENCY_KEY=name)


def test_the_same_request_again_gets_the_same_answer_and_has_no_effect() -> None:
    caller = Caller(issue(permissions=WRITE))

    first, second = post(caller, {"name": "Once"}), post(caller, {"name": "Once"})

    assert (first.status_code, second.status_code) == (201, 201)
    assert first.content == second.content
    assert first["Location"] == second["Location"]
    assert first["ETag"] == second["ETag"]
    assert "Idempotent-Replayed" not in first
    assert second["Idempotent-Replayed"] == "true"
    assert Customer.objects.count() == 1


def test_the_same_body_written_otherwise_is_the_same() -> None:
    caller = Caller(issue(permissions=WRITE))
    post(caller, b'{"name": "Once", "email": "a@b.example"}')

    again = post(caller, b'{"email":"a@b.example","name":"Once"}')

    assert again["Idempotent-Replayed"] == "true"


@pytest.mark.parametrize("body", [{"name": "Other"}, {"name": "Once", "email": "a@b.example"}])
def test_another_body_under_the_same_name_is_422(body: Any) -> None:
    caller = Caller(issue(permissions=WRITE))
    post(caller, {"name": "Once"})

    response = post(caller, body)

    assert (response.status_code, response.json()["code"]) == (422, "idempotency_mismatch")


def test_names_belong_to_the_key() -> None:
    for _ in range(2):
        assert post(Caller(issue(permissions=WRITE)), {"name": "Mine"}).status_code == 201

    assert Customer.objects.count() == 2


def test_a_refusal_by_the_endpoint_is_replayed_too() -> None:
    caller = Caller(issue(permissions=WRITE))
    caller.post("customers", {"name": "First", "external_reference": "R"})
    body = {"name": "Second", "external_reference": "R"}

    first, second = post(caller, body), post(caller, body)

    assert (first.status_code, second.status_code) == (409, 409)
    assert first.content == second.content
    assert second["Idempotent-Replayed"] == "true"


def test_a_request_that_does_not_fit_takes_no_name() -> None:
    caller = Caller(issue(permissions=WRITE))
    assert post(caller, {"nome": "typo"}).status_code == 400

    assert post(caller, {"name": "right"}).status_code == 201


def test_a_403_is_not_kept_for_a_key_that_may_by_then() -> None:
    key = issue(permissions=["jobs:run"])
    body, name = {"type": "customers.export"}, {"HTTP_IDEMPOTENCY_KEY": "one"}
    refused = Caller(key).post("jobs", body, **name)
    lifecycle.update(key.key, actor=ACTOR, permissions=["jobs:run", "customers:read"])

    taken = Caller(key).post("jobs", body, **name)
    lifecycle.update(key.key, actor=ACTOR, permissions=["jobs:run"])
    replayed = Caller(key).post("jobs", body, **name)

    assert [answer.status_code for answer in (refused, taken, replayed)] == [403, 202, 403]


@pytest.mark.parametrize("name", ["", "x" * 256, "tab\tbed", "ümlaut"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    response = post(Caller(issue(permissions=WRITE)), {"name": "x"}, name=name)

    assert response.status_code == 400
    assert response.json()["errors"][0]["field"] == "Idempotency-Key"


def claimed(until: timedelta, **fields: Any) -> tuple[Caller, IdempotentRequest]:
    """Return a caller one of whose requests was begun and got no answer."""
    issued = issue(permissions=WRITE)
    caller = Caller(issued)
    post(caller, {"name": "Once"})
    request = IdempotentRequest.objects.get(key=issued.key)
    Customer.objects.all().delete()
    IdempotentRequest.objects.filter(pk=request.pk).update(
        status=None, claimed_until=timezone.now() + until, **fields
    )
    return caller, request


def test_while_the_first_runs_the_second_is_409() -> None:
    caller, _ = claimed(timedelta(seconds=30))

    response = post(caller, {"name": "Once"})

    assert (response.status_code, response.json()["code"]) == (409, "idempotency_in_progress")
    assert int(response["Retry-After"]) >= 1
    assert not Customer.objects.exists()


def test_a_claim_whose_request_died_lapses() -> None:
    caller, _ = claimed(timedelta(seconds=-1))

    response = post(caller, {"name": "Once"})

    assert response.status_code == 201
    assert "Idempotent-Replayed" not in response
    assert Customer.objects.count() == 1


def test_an_answer_is_kept_for_a_day() -> None:
    old = timezone.now() - idempotency.KEPT_FOR - timedelta(seconds=1)
    caller, request = claimed(timedelta(seconds=-1), created_at=old)
    IdempotentRequest.objects.filter(pk=request.pk).update(status=201, body="{}")

    response = post(caller, {"name": "Another body"})

    assert response.status_code == 201


def test_pruning_forgets_what_is_older_than_a_day() -> None:
    caller, request = claimed(timedelta(0))
    post(caller, {"name": "Kept"}, name="order-2")
    IdempotentRequest.objects.filter(pk=request.pk).update(
        created_at=timezone.now() - timedelta(hours=25)
    )

    assert idempotency.prune(timezone.now()) == 1
    assert IdempotentRequest.objects.get().idempotency_key == "order-2"


@pytest.mark.django_db(transaction=True)
def test_of_requests_that_come_at_once_one_has_its_effect() -> None:
    caller = Caller(issue(permissions=WRITE))
    start = threading.Barrier(6)

    def send(_: int) -> Any:
        start.wait()
        try:
            return post(caller, {"name": "Once"})
        finally:
            connections.close_all()

    with ThreadPoolExecutor(6) as pool:
        responses = list(pool.map(send, range(6)))

    statuses = sorted(response.status_code for response in responses)
    assert Customer.objects.count() == 1
    assert set(statuses) <= {201, 409}
    assert statuses[0] == 201


def test_a_replay_needs_what_the_job_type_needs_now() -> None:
    issued = issue(permissions=["jobs:run", "customers:read"])
    caller = Caller(issued)
    job = caller.post("jobs", {"type": "customers.export"}).json()["id"]
    cancelled = post(caller, None, path=f"jobs/{job}/cancel")
    lifecycle.update(issued.key, actor=ACTOR, permissions=["jobs:run"])

    replayed = post(caller, None, path=f"jobs/{job}/cancel")

    assert (cancelled.status_code, replayed.status_code) == (202, 403)
    assert replayed.json()["required_permission"] == "customers:read"


def test_a_customer_out_of_reach_is_not_kept_for_a_key_that_reaches_it_by_then() -> None:
    customer = make_customer()
    issued = issue(permissions=["licenses:manage"], customers=[])
    caller, body = Caller(issued), {"customer": str(customer.pk), "product": "P"}
    refused = post(caller, body, path="licenses")
    lifecycle.update(issued.key, actor=ACTOR, customers=[customer.pk])

    taken = post(caller, body, path="licenses")

    assert (refused.status_code, taken.status_code) == (400, 201)
