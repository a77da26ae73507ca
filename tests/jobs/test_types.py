"""Each job type does what it says, within the key's reach, and goes on where it was."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.utils import timezone

from apikeys import lifecycle
from apikeys.models import ApiKey
from apikeys.permissions import Permission
from audit.actors import Actor, Source
from customers.customers import lifecycle as customer_lifecycle
from customers.models import Customer, License, TelemetryEvent
from jobs.registry import JobFailed, Step, Work, job_types
from jobs.serializers import check_params
from tests.support.api_client import Caller
from tests.support.factories import ACTOR as MAKER
from tests.support.factories import issue, make_customer, make_event, make_job, make_license

pytestmark = pytest.mark.django_db

ACTOR = Actor(Source.API, "a job")


def run(name: str, key: ApiKey, params: dict[str, Any] | None = None) -> tuple[Any, list[Step]]:
    """Run a type, starting it anew from its last state after each step, as after a crash."""
    kind = job_types()[name]
    checked = check_params(kind, params or {})
    state: dict[str, Any] = {}
    steps: list[Step] = []
    done = 0
    while True:
        going = kind.run(Work(key, ACTOR, json.loads(json.dumps(checked)), state, done))
        try:
            step = next(going)
        except StopIteration as ended:
            return ended.value, steps
        steps.append(step)
        done, state = step.done, json.loads(json.dumps(dict(step.state)))


@pytest.mark.parametrize("name", ["customers.export", "telemetry.export", "telemetry.purge"])
def test_a_key_that_is_narrowed_while_its_job_runs_reaches_no_further(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("customers", "telemetry"):
        monkeypatch.setattr(f"jobs.types.{module}.CHUNK", 1)
    customers = [make_customer() for _ in range(12)]
    events = [make_event(customer) for customer in customers]
    key = issue(permissions=list(Permission)).key
    params = {"occurred_before": "2999-01-01T00:00:00Z"} if name == "telemetry.purge" else {}
    work = Work(key, ACTOR, check_params(job_types()[name], params), {}, 0)
    steps = job_types()[name].run(work)
    first = next(steps)
    lifecycle.update(key, actor=MAKER, customers=[customers[-1].pk])
    key.refresh_from_db()

    rest = list(steps)

    # What was left of everybody's, and the one customer that is still in reach.
    assert [step.done for step in rest] == [first.done + 1]
    assert TelemetryEvent.objects.filter(pk=events[5].pk).exists()


def test_customers_are_imported_by_their_reference() -> None:
    key = issue().key
    old = make_customer(external_reference="R1", name="Old")
    rows = [{"name": f"N{n}", "external_reference": f"R{n}"} for n in range(250)]

    result, steps = run("customers.import", key, {"rows": rows})

    assert result == {"created": 249, "updated": 1}
    assert [step.done for step in steps] == [100, 200, 250]
    old.refresh_from_db()
    assert old.name == "N1"
    assert Customer.objects.filter(environment="production").count() == 250


def test_a_scoped_key_imports_into_its_customers_only() -> None:
    mine, other = (make_customer(external_reference=name) for name in ("mine", "other"))
    key = issue(customers=[mine.pk]).key

    result, _ = run(
        "customers.import", key, {"rows": [{"name": "N", "external_reference": "mine"}]}
    )
    assert result == {"created": 0, "updated": 1}
    for reference in ("other", "new"):
        with pytest.raises(JobFailed):
            run("customers.import", key, {"rows": [{"name": "N", "external_reference": reference}]})
    other.refresh_from_db()
    assert other.name != "N"


def test_a_customer_deleted_while_it_is_imported_is_made_anew(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = issue(permissions=list(Permission)).key
    old = make_customer(external_reference="C-1")
    update = customer_lifecycle.update

    def after_delete(customer: Customer, **changes: Any) -> Customer:
        customer_lifecycle.delete(customer, actor=MAKER)
        return update(customer, **changes)

    monkeypatch.setattr(customer_lifecycle, "update", after_delete)
    rows = [{"name": "N", "external_reference": "C-1"}]

    assert run("customers.import", key, {"rows": rows})[0] == {"created": 1, "updated": 0}
    assert Customer.objects.get(external_reference="C-1").pk != old.pk


def test_customers_are_exported_as_far_as_the_key_sees() -> None:
    mine = make_customer()
    make_customer()
    make_customer(environment="staging")
    for key, count in ((issue().key, 2), (issue(customers=[mine.pk]).key, 1)):
        result, steps = run("customers.export", key)
        lines = "".join(step.part for step in steps).splitlines()
        assert (result, len(lines)) == ({"customers": count}, count)
    assert json.loads(lines[0])["id"] == str(mine.pk)


def test_licenses_are_issued_to_each_customer() -> None:
    customers = [make_customer() for _ in range(60)]
    params = {"customers": [str(c.pk) for c in customers], "product": "Pro", "seats": 3}

    result, steps = run("licenses.bulk_issue", issue().key, params)

    assert result == {"issued": 60}
    assert [step.done for step in steps] == [50, 60]
    assert sorted(License.objects.values_list("customer_id", flat=True)) == sorted(
        customer.pk for customer in customers
    )


def test_no_license_is_issued_to_a_customer_out_of_reach() -> None:
    foreign = make_customer(environment="staging")

    with pytest.raises(JobFailed):
        run("licenses.bulk_issue", issue().key, {"customers": [str(foreign.pk)], "product": "P"})


def test_licenses_that_end_soon_are_renewed() -> None:
    soon = timezone.now() + timedelta(days=5)
    renewed = [make_license(expires_at=soon), make_license(expires_at=soon - timedelta(days=9))]
    left = [
        make_license(),
        make_license(expires_at=soon + timedelta(days=90)),
        make_license(expires_at=soon, status="revoked"),
        make_license(make_customer(environment="staging"), expires_at=soon),
    ]
    new = soon + timedelta(days=365)

    result, _ = run(
        "licenses.bulk_renew",
        issue().key,
        {"expires_at": new.isoformat(), "expiring_before": (soon + timedelta(days=1)).isoformat()},
    )

    assert result == {"renewed": 2}
    assert set(License.objects.filter(expires_at=new)) == set(renewed)
    assert {row.expires_at for row in License.objects.filter(pk__in=[r.pk for r in left])} == {
        row.expires_at for row in left
    }


def test_telemetry_is_exported_and_purged_as_asked() -> None:
    key = issue().key
    old = timezone.now() - timedelta(days=10)
    for _ in range(3):
        make_event(occurred_at=old)
    young = make_event()
    foreign = make_event(make_customer(environment="staging"), occurred_at=old)
    before = {"occurred_before": (timezone.now() - timedelta(days=5)).isoformat()}

    exported, steps = run("telemetry.export", key, before)
    purged, _ = run("telemetry.purge", key, before)

    assert exported == {"events": 3}
    assert len("".join(step.part for step in steps).splitlines()) == 3
    assert purged == {"deleted": 3}
    assert set(TelemetryEvent.objects.all()) == {young, foreign}


def test_a_key_needs_the_types_own_permission() -> None:
    runner = Caller(issue(permissions=[Permission.JOBS_RUN]))

    refused = runner.post("jobs", {"type": "customers.export"})

    assert (refused.status_code, refused.json()["required_permission"]) == (403, "customers:read")


def test_parameters_come_back_as_they_were_sent() -> None:
    caller = Caller(issue(permissions=list(Permission)))
    metadata = '{"z":100.0,"a":-0.0,"big":1e+300}'
    rows = f'[{{"name":"N","external_reference":"R","metadata":{metadata}}}]'

    body = f'{{"type":"customers.import","params":{{"rows":{rows}}}}}'.encode()
    made = caller.post("jobs", body, content_type="application/json")

    assert made.status_code == 202
    assert metadata in caller.get(f"jobs/{made.json()['id']}").text


def test_a_job_names_only_customers_that_its_key_sees() -> None:
    mine, other = make_customer(), make_customer()
    caller = Caller(issue(permissions=list(Permission), customers=[mine.pk]))

    def ask(kind: str, **params: Any) -> Any:
        return caller.post("jobs", {"type": kind, "params": params})

    made = ask("telemetry.export", customer=str(mine.pk))
    one = ask("telemetry.export", customer=str(other.pk))
    many = ask("licenses.bulk_issue", product="P", customers=[str(mine.pk), str(other.pk)])
    found = [
        [row["id"] for row in caller.get(f"jobs?customer={customer.pk}").json()["data"]]
        for customer in (mine, other)
    ]

    assert made.status_code == 202
    assert [e["field"] for e in one.json()["errors"]] == ["params.customer"]
    assert [e["field"] for e in many.json()["errors"]] == ["params.customers[1]"]
    assert found == [[made.json()["id"]], []]


def test_a_key_without_the_types_permission_learns_nothing_of_customers() -> None:
    runner = Caller(issue(permissions=[Permission.JOBS_RUN]))
    params: tuple[dict[str, Any], ...] = (
        {"customers": [str(make_customer().pk)], "product": "P"},
        {},
        {"bogus": 1},
    )

    answers = [runner.post("jobs", {"type": "licenses.bulk_issue", "params": p}) for p in params]

    assert {answer.status_code for answer in answers} == {403}


def test_a_result_is_given_to_a_key_that_may_still_have_it() -> None:
    mine, other = make_customer(), make_customer()
    made = issue(permissions=list(Permission))
    file = {"file_name": "f", "file_type": "application/x-ndjson", "status": "succeeded"}
    job = make_job(made.key, type="customers.export", **file)
    about = make_job(made.key, type="telemetry.export", customer_count=1, **file)
    about.customers.add(mine, through_defaults={"environment": "production"})

    def answers() -> list[int]:
        return [Caller(made).get(f"jobs/{j.pk}/result").status_code for j in (job, about)]

    before = answers()
    lifecycle.update(made.key, actor=MAKER, customers=[mine.pk])
    scoped = answers()
    lifecycle.update(made.key, actor=MAKER, customers=[other.pk])
    elsewhere = answers()
    lifecycle.update(made.key, actor=MAKER, customers=None, permissions=["jobs:read"])

    assert (before, scoped, elsewhere) == ([200, 200], [403, 200], [403, 403])
    assert answers() == [403, 403]


def test_cancelling_takes_the_types_own_permission_too() -> None:
    key = issue(permissions=[Permission.JOBS_RUN]).key
    job = make_job(key, type="customers.export")

    assert (
        Caller(lifecycle.regenerate(key, actor=MAKER))
        .post(f"jobs/{job.pk}/cancel")
        .json()["required_permission"]
        == "customers:read"
    )


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"type": "nope"}, "type"),
        ({"type": "customers.export", "params": {"nope": 1}}, "params.nope"),
        ({"type": "customers.import"}, "params.rows"),
        (
            {
                "type": "licenses.bulk_issue",
                "params": {
                    "customers": [str(uuid4())],
                    "product": "P",
                    "expires_at": "2001-01-01T00:00:00Z",
                },
            },
            "params.expires_at",
        ),
        ({"type": "customers.import", "params": {"rows": [{"name": "x"}]}}, "params.rows"),
    ],
)
def test_what_cannot_be_asked_for_is_refused_at_once(body: dict[str, Any], field: str) -> None:
    caller = Caller(issue(permissions=list(Permission)))

    refused = caller.post("jobs", body)

    assert refused.status_code == 400
    assert refused.json()["errors"][0]["field"].startswith(field)
