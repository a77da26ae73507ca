"""Errors of fields: the first are named, all are counted, whoever reads the request."""

import tracemalloc
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from rest_framework.exceptions import ValidationError

from apikeys.credentials import mask
from apikeys.guard.problems import MAX_ERRORS, Problem, as_problem, log_failure
from apikeys.guard.serializers import validated
from apikeys.permissions import Permission
from customers.customers.serializers import CustomerInput
from customers.telemetry.serializers import TelemetryInput
from database.refusals import Conflict, Refused
from jobs.registry import job_types
from jobs.serializers import check_params
from tests.support.api_client import Caller
from tests.support.factories import issue

UNKNOWN = {f"field{number}": 1 for number in range(20_000)}
ROW = {"name": "Name", "external_reference": "R"}


def job(name: str, **params: Any) -> tuple[str, Any]:
    return "jobs", {"type": name, "params": params}


REQUESTS: dict[str, tuple[tuple[str, Any], int]] = {
    "unknown fields": (("customers", {"name": "Name", **UNKNOWN}), 20_000),
    "unknown fields of an event": (("telemetry", UNKNOWN), 20_002),
    "unknown fields beside events": (("telemetry", {"events": [], **UNKNOWN}), 20_000),
    "unknown fields of one event": (("telemetry", {"events": [UNKNOWN]}), 20_002),
    "events that lack everything": (("telemetry", {"events": [{}] * 1000}), 2000),
    "events that are none": (("telemetry", {"events": [1] * 1000}), 1000),
    "events of unseen customers": (
        ("telemetry", {"events": [{"customer": str(uuid4()), "type": "x"}] * 1000}),
        1000,
    ),
    "unknown parameters": (job("customers.export", **UNKNOWN), 20_000),
    "rows that lack everything": (job("customers.import", rows=[{}] * 5000), 10_000),
    "unknown fields of one row": (job("customers.import", rows=[ROW | UNKNOWN]), 20_000),
    "unknown fields of rows": (
        job("customers.import", rows=[ROW | {f"f{number}": 1 for number in range(9)}] * 1000),
        9000,
    ),
    "rows that are none": (job("customers.import", rows=[1] * 5000), 5000),
    "ids that are none": (job("licenses.bulk_issue", product="P", customers=[1] * 5000), 5000),
    "unseen customers": (
        job("licenses.bulk_issue", product="P", customers=[str(uuid4()) for _ in range(5000)]),
        5000,
    ),
}


@pytest.mark.django_db
@pytest.mark.parametrize("name", REQUESTS)
def test_the_first_errors_are_named_and_all_are_counted(name: str) -> None:
    (path, body), count = REQUESTS[name]

    answer = Caller(issue(permissions=list(Permission))).post(path, body)

    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (400, "validation_failed")
    assert len(problem["errors"]) == MAX_ERRORS
    assert problem["error_count"] == count
    assert f"{count:,}" in problem["detail"]
    assert len(answer.content) < 32_768


@pytest.mark.django_db
def test_unknown_query_parameters_are_named_and_counted() -> None:
    caller = Caller(issue(permissions=[Permission.CUSTOMERS_READ]))

    problem = caller.get("customers?" + "&".join(f"p{number}=" for number in range(900))).json()

    assert (len(problem["errors"]), problem["error_count"]) == (MAX_ERRORS, 900)


@pytest.mark.django_db
def test_a_few_errors_are_all_named() -> None:
    caller = Caller(issue(permissions=[Permission.CUSTOMERS_WRITE]))

    problem = caller.post("customers", {"one": 1, "two": 2}).json()

    assert [error["field"] for error in problem["errors"]] == ["one", "two"]
    assert problem["error_count"] == 2


@pytest.mark.django_db
@pytest.mark.parametrize("length", [5001, 200_000])
def test_the_length_of_a_list_is_checked_before_its_items(length: int) -> None:
    caller = Caller(issue(permissions=list(Permission)))

    problem = caller.post(*job("customers.import", rows=[1] * length)).json()

    assert [error["field"] for error in problem["errors"]] == ["params.rows"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    "body", [{"name": "Name", "status": "ü" * 100_000}, {"name": "Name", "ü" * 100_000: 1}]
)
def test_an_error_repeats_little_of_what_was_sent(body: Any) -> None:
    answer = Caller(issue(permissions=[Permission.CUSTOMERS_WRITE])).post("customers", body)

    assert answer.status_code == 400
    assert len(answer.content) < 4096


@pytest.mark.django_db
def test_an_error_repeats_no_secret_wherever_it_is_cut() -> None:
    issued = issue(permissions=[Permission.CUSTOMERS_WRITE])
    secret = issued.credential.rsplit("_", 1)[1]
    caller = Caller(issued)

    for before in range(0, 320, 7):
        field, value = (letter * before + issued.credential for letter in "xy")
        answer = caller.post("customers", {"name": "Name", "status": value, field: 1}).content
        answer += caller.post("customers", {"name": "Name", "status": value}).content

        assert not any(secret[:length].encode() in answer for length in range(6, len(secret) + 1))
    assert mask(issued.credential) != issued.credential


READ: dict[str, Callable[[Any], object]] = {
    "a body": lambda data: CustomerInput(data=data).is_valid(raise_exception=True),
    "an event": lambda data: validated(TelemetryInput, data),
    "a batch": lambda data: validated(TelemetryInput, {"events": [data]}),
    "beside a batch": lambda data: TelemetryInput(data={"events": [], **data}).is_valid(),
    "parameters": lambda data: check_params(job_types()["customers.export"], data),
    "a row": lambda data: check_params(job_types()["customers.import"], {"rows": [data]}),
}


@pytest.mark.parametrize("reads", READ)
def test_unknown_fields_are_found_without_an_error_for_each(reads: str) -> None:
    data = {f"field{number}": 1 for number in range(80_000)}
    read = READ[reads]
    for _ in range(2):
        # The first time, what is made once is made.
        tracemalloc.start()
        with pytest.raises((Problem, ValidationError)):
            read(data)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()

    # A dictionary of 80,000 names is copied where a reader adds to it; no error has 80 bytes.
    assert peak < 6_000_000


def test_a_lack_of_room_is_one_line_in_our_log(caplog: pytest.LogCaptureFixture) -> None:
    log_failure("a request", Problem("unavailable", "There is no room now."))

    assert [(record.exc_info, record.message) for record in caplog.records] == [
        (None, "request a request: Problem: There is no room now.")
    ]


def test_what_a_change_refuses_names_its_field_and_a_conflict_is_a_409() -> None:
    refused = as_problem(Refused("The name is blank. Say what the key is for.", field="name"))
    conflict = as_problem(Conflict("The license is revoked. Issue another.", field="status"))

    assert (refused.code, conflict.code) == ("validation_failed", "conflict")
    assert refused.members["errors"] == [
        {"field": "name", "message": "The name is blank. Say what the key is for."}
    ]
