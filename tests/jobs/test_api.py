"""The jobs endpoints: what a key is shown of the jobs that it asked for."""

from typing import Any

import pytest

from apikeys import lifecycle
from apikeys.permissions import Permission
from customers.models import Customer
from jobs.models import Job, JobAttempt, JobFilePart
from tests.support.api_client import Caller
from tests.support.factories import ACTOR, issue, make_customer, make_job

pytestmark = pytest.mark.django_db


def submit(caller: Caller, **params: Any) -> Job:
    """Ask for a job, and let it have made and said something."""
    made = caller.post("jobs", {"type": "customers.export", "params": params})
    job = Job.objects.get(pk=made.json()["id"])
    Job.objects.filter(pk=job.pk).update(
        status="succeeded", reason="held", message="held", result={"held": 1}, file_bytes=4,
        params={"status": "active"},
    )  # fmt: skip
    JobAttempt.objects.create(job=job, number=1, worker="w", error="held")
    JobFilePart.objects.create(job=job, number=0, content="held")
    return job


def is_shown(caller: Caller, job: Job) -> bool:
    """Say whether a key is shown what its job holds: in list, detail and result alike."""
    listed = next(row for row in caller.get("jobs").json()["data"] if row["id"] == str(job.pk))
    detail = caller.get(f"jobs/{job.pk}")
    result = caller.get(f"jobs/{job.pk}/result")
    shown = not detail.json()["is_redacted"]
    assert listed["is_redacted"] != shown
    assert ("held" in str(listed)) == shown
    assert detail.text.count("held") == (4 if shown else 0)
    assert (detail.json()["params"] != {}) == shown
    assert listed["has_file"] == shown
    assert result.status_code == (200 if shown else 403)
    return shown


def everything(**settings: Any) -> tuple[Any, Caller]:
    issued = issue(permissions=list(Permission), **settings)
    return issued.key, Caller(issued)


def test_a_job_about_a_customer_that_the_key_no_longer_reaches_is_redacted() -> None:
    mine, lost = make_customer(), make_customer()
    key, caller = everything(customers=[mine.pk, lost.pk])
    job = submit(caller)
    before = is_shown(caller, job)

    lifecycle.update(key, actor=ACTOR, customers=[mine.pk])
    narrowed, later = is_shown(caller, job), is_shown(caller, submit(caller))
    lifecycle.update(key, actor=ACTOR, customers=[mine.pk, lost.pk])

    assert (before, narrowed, later, is_shown(caller, job)) == (True, False, True, True)


def test_a_job_about_a_suspended_customer_is_redacted() -> None:
    mine = make_customer()
    _, caller = everything(customers=[mine.pk])
    job = submit(caller)

    Customer.objects.update(status="suspended")

    assert not is_shown(caller, job)


def test_a_job_stays_redacted_when_its_customer_is_deleted() -> None:
    mine, lost = make_customer(), make_customer()
    key, caller = everything(customers=[mine.pk, lost.pk])
    job = submit(caller)
    lifecycle.update(key, actor=ACTOR, customers=[mine.pk])

    Caller(issue(permissions=list(Permission))).delete(f"customers/{lost.pk}")

    assert not is_shown(caller, job)


def test_a_job_for_all_customers_is_redacted_from_a_key_that_is_scoped_now() -> None:
    mine = make_customer()
    key, caller = everything()
    job = submit(caller)

    lifecycle.update(key, actor=ACTOR, customers=[mine.pk])

    assert not is_shown(caller, job)


def test_a_key_that_reaches_nobody_is_shown_its_job_about_nobody() -> None:
    _, caller = everything(customers=[])

    assert is_shown(caller, submit(caller))


def test_a_job_that_is_redacted_can_be_cancelled_and_says_no_more_then() -> None:
    mine, lost = make_customer(), make_customer()
    key, caller = everything(customers=[mine.pk, lost.pk])
    made = caller.post("jobs", {"type": "customers.export", "params": {"status": "active"}})
    lifecycle.update(key, actor=ACTOR, customers=[mine.pk])

    cancelled = caller.post(f"jobs/{made.json()['id']}/cancel")

    assert (cancelled.status_code, cancelled.json()["params"]) == (202, {})
    assert cancelled.json()["is_redacted"]


def test_a_list_of_jobs_asks_once_for_all_of_them(
    django_assert_max_num_queries: Any,
) -> None:
    _, caller = everything(customers=[make_customer().pk])
    for _ in range(5):
        submit(caller)

    with django_assert_max_num_queries(3):
        caller.get("jobs")


def test_a_job_type_that_is_none_is_told_what_was_probably_meant() -> None:
    caller = Caller(issue(permissions=list(Permission)))

    close, far = (
        caller.post("jobs", {"type": name}).json()["errors"][0]["message"]
        for name in ("customer.export", "nothing")
    )

    assert close == "There is no such job type. Did you mean 'customers.export'?"
    assert "Use one of customers.export, " in far


def test_a_job_without_a_key_is_shown_to_no_key() -> None:
    caller = Caller(issue(permissions=list(Permission)))
    job = make_job(None, status="succeeded", file_name="a.txt", file_type="text/plain")

    answers = [
        caller.get(f"jobs/{job.pk}"),
        caller.get(f"jobs/{job.pk}/result"),
        caller.post(f"jobs/{job.pk}/cancel", {}),
        caller.post("jobs", {"type": "tasks.default", "params": {}}),
    ]

    assert [answer.status_code for answer in answers] == [404, 404, 404, 400]
    assert caller.get("jobs").json()["data"] == []
