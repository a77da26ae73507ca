"""Jobs in the admin."""

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from jobs.models import Job
from tests.support.factories import issue, make_customer, make_job, make_staff

pytestmark = pytest.mark.django_db

LIST = reverse("admin:jobs_job_changelist")


def client_of(role: str) -> Client:
    client = Client()
    client.force_login(make_staff(role))
    return client


def page_of(job: Job) -> str:
    return reverse("admin:jobs_job_change", args=(job.pk,))


def dialog(client: Client, action: str, job: Job) -> Any:
    address = reverse(f"admin:jobs_job_{action}", args=(job.pk,))
    return client.post(address, {"_form_submitted": "1", "attempt": job.attempt})


def test_each_filter_narrows_the_list() -> None:
    staff = client_of("Auditor")
    key = issue(environment="staging").key
    wanted = make_job(key, type="telemetry.purge", status="dead")
    customer = make_customer(environment="staging")
    wanted.customers.add(customer, through_defaults={"environment": "staging"})
    make_job(issue().key)

    for query in (
        "status__exact=dead",
        "type=telemetry.purge",
        "environment__exact=staging",
        f"key__id__exact={key.pk}",
        f"customers__id__exact={customer.pk}",
        f"q={wanted.pk}",
    ):
        rows = staff.get(f"{LIST}?{query}").context["cl"].result_list
        assert [row.pk for row in rows] == [wanted.pk], query


def test_the_page_of_a_job_shows_its_life_and_no_secret() -> None:
    params = {"rows": [{"name": "N", "metadata": {"password": "hunter2"}}], "x": "<script>"}
    job = make_job(issue().key, params=params, status="dead", reason="It <b>broke</b>.", attempt=1)
    job.attempts.create(number=1, worker="host:1", error="RuntimeError: no")

    page = client_of("Auditor").get(page_of(job)).content.decode()

    assert "RuntimeError: no" in page
    assert "It &lt;b&gt;broke&lt;/b&gt;." in page
    assert "hunter2" not in page
    assert "&lt;script&gt;" in page


def test_a_job_is_cancelled_and_tried_again_by_dialogs_only() -> None:
    staff = client_of("Key administrator")
    job = make_job(issue().key)

    staff.get(reverse("admin:jobs_job_cancel", args=(job.pk,)))
    job.refresh_from_db()
    assert job.status == "queued"
    assert dialog(staff, "cancel", job).headers["HX-Redirect"]
    job.refresh_from_db()
    assert (job.status, job.reason[:12]) == ("cancelled", "Cancelled by")
    assert dialog(staff, "cancel", job).status_code == 403
    assert dialog(staff, "retry", job).headers["HX-Redirect"]
    job.refresh_from_db()
    assert job.status == "queued"
    page = staff.get(page_of(job)).content.decode()
    for action in ("Cancelled", "Tried again"):
        assert f"<strong>{action}</strong> by staff" in page
    assert [(event.action, event.source, event.address) for event in job.events.all()] == [
        ("cancelled", "admin", "127.0.0.1"),
        ("retried", "admin", "127.0.0.1"),
    ]


def test_who_may_only_look_changes_nothing() -> None:
    job = make_job(issue().key)

    assert dialog(client_of("Auditor"), "cancel", job).status_code == 403
    assert dialog(client_of("Key operator"), "cancel", job).status_code == 403


def test_the_watch_tells_how_far_jobs_are() -> None:
    job = make_job(issue().key, done=3, total=4)
    address = reverse("admin:jobs_job_watch")

    found = client_of("Auditor").get(f"{address}?id={job.pk}&id=none").json()

    assert found == {
        str(job.pk): {
            "status": "queued", "label": "Queued", "percent": 75, "text": "3 of 4",
            "is_over": False,
        }
    }  # fmt: skip
    stranger = Client()
    stranger.force_login(make_staff())
    assert stranger.get(f"{address}?id={job.pk}").status_code == 403


def test_a_page_shows_parameters_with_characters_that_are_made_visible() -> None:
    job = make_job(issue().key, params={"type": "a\u007fb\u0085"})

    assert client_of("Auditor").get(page_of(job)).status_code == 200


def test_of_two_who_saw_a_job_fail_one_has_it_tried_again() -> None:
    staff = client_of("Key administrator")
    job = make_job(issue().key, status="dead", attempt=3)
    stale = make_job(job.key, status="dead", attempt=3)
    Job.objects.filter(pk=stale.pk).update(attempt=6)

    assert dialog(staff, "retry", job).headers["HX-Redirect"]
    assert "tried again meanwhile" in dialog(staff, "retry", stale).content.decode()
    stale.refresh_from_db()
    assert stale.status == "dead"


def test_a_dialog_of_a_job_that_is_gone_is_404() -> None:
    job = make_job(issue().key)
    job_id = job.pk
    job.delete()
    job.pk = job_id

    assert dialog(client_of("Key administrator"), "cancel", job).status_code == 404
