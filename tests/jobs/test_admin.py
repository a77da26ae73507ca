"""Jobs in the admin."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from audit.models import Event
from database.uuid7 import new_id
from jobs.admin.formatting import timing_text
from jobs.models import Job
from tests.support.factories import client_of, issue, make_customer, make_job, make_staff

pytestmark = pytest.mark.django_db

LIST = reverse("admin:jobs_job_changelist")


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


def test_a_job_without_a_key_is_shown_found_cancelled_and_tried_again() -> None:
    staff = client_of("Key administrator")
    job = make_job(None, type="tasks.default", params={"task": "app.tasks.send"})
    customer = make_customer()
    job.customers.add(customer, through_defaults={"environment": job.environment})
    make_job(issue().key)

    pages = [
        staff.get(LIST),
        staff.get(page_of(job)),
        staff.get(reverse("admin:customers_customer_change", args=(customer.pk,))),
        staff.post(LIST, {"action": "cancel_selected", "_selected_action": [str(job.pk)]}),
        dialog(staff, "cancel", job),
        dialog(staff, "retry", job),
        staff.get(f"{reverse('admin:search')}?q={job.pk}"),
    ]

    assert [page.status_code for page in pages] == [*[200] * 6, 302]
    assert "None: a task of an app" in pages[0].text
    assert "None: a task of an app" in pages[1].text
    assert "app.tasks.send" in pages[1].text
    assert Job.objects.get(pk=job.pk).status == "queued"
    assert set(Event.objects.about(job).values_list("action", flat=True)) == {
        "cancelled", "retried",
    }  # fmt: skip


def test_a_job_is_cancelled_and_tried_again_by_dialogs_only() -> None:
    staff = client_of("Key administrator")
    job = make_job(issue().key)

    opened = staff.get(reverse("admin:jobs_job_cancel", args=(job.pk,))).text
    assert re.findall(r">\s*(Cancel|Back)\s*<", opened) == ["Back"]
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
    events = Event.objects.about(job).order_by("id")
    assert [(event.action, event.source, event.address) for event in events] == [
        ("cancelled", "admin", "127.0.0.1"),
        ("retried", "admin", "127.0.0.1"),
    ]


def test_who_may_only_look_changes_nothing() -> None:
    job = make_job(issue().key)

    assert dialog(client_of("Auditor"), "cancel", job).status_code == 403
    assert dialog(client_of("Key operator"), "cancel", job).status_code == 403


def test_the_watch_tells_how_far_jobs_are() -> None:
    running = timezone.now() - timedelta(seconds=90)
    job = make_job(
        issue().key, done=3, total=4, status="running", attempt=1, max_attempts=3,
        lease=new_id(), started_at=running,
    )  # fmt: skip
    address = reverse("admin:jobs_job_watch")

    found = client_of("Auditor").get(f"{address}?id={job.pk}&id=none").json()

    assert found == {
        str(job.pk): {
            "status": "running", "label": "Running", "percent": 75, "attempt": 1,
            "is_over": False,
            "texts": {
                "progress": "3 of 4",
                "attempts": "1 of 3",
                "timing": "Running for 1 min 30 s, about 30 s left",
            },
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


NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"status": "queued", "queued_at": 12}, "Waiting for 12 s"),
        ({"status": "running", "started_at": 7384}, "Running for 2 h 3 min"),
        (
            {"status": "running", "started_at": 60, "attempt": 1, "done": 1, "total": 3},
            "Running for 1 min 0 s, about 2 min 0 s left",
        ),
        # Before a fiftieth is done there is no pace, nor after a pause between attempts.
        ({"status": "running", "started_at": 60, "attempt": 1, "done": 1, "total": 51},
         "Running for 1 min 0 s"),
        ({"status": "running", "started_at": 60, "attempt": 2, "done": 1, "total": 3},
         "Running for 1 min 0 s"),
        ({"status": "failed", "run_at": -12}, "Next attempt in 12 s, at 12:00:12 UTC"),
        ({"status": "failed", "run_at": 1}, "Next attempt is due"),
        ({"status": "succeeded", "started_at": 10, "finished_at": 7}, "Took 3.0 s"),
        ({"status": "dead", "started_at": 360_000, "finished_at": 0}, "Took 4 d 4 h"),
        ({"status": "cancelled", "finished_at": 0}, ""),
    ],
)  # fmt: skip
def test_a_line_says_how_long_a_job_waits_runs_or_took(fields: Any, says: str) -> None:
    """The times are given in seconds before now."""
    job = Job(**{
        name: NOW - timedelta(seconds=value) if name.endswith("_at") else value
        for name, value in fields.items()
    })  # fmt: skip

    assert timing_text(job, NOW) == says


def bulk(client: Client, action: str, *jobs: Job, **fields: str) -> Any:
    ids = [str(job.pk) for job in jobs]
    form = {"action": f"{action}_selected", "_selected_action": ids, **fields}
    return client.post(LIST, form, follow=True)


def statuses(*jobs: Job) -> list[str]:
    return [Job.objects.get(pk=job.pk).status for job in jobs]


def test_many_jobs_are_cancelled_after_a_page_that_counts_them() -> None:
    staff, key = client_of("Key administrator"), issue().key
    jobs = [make_job(key, status=status) for status in ("queued", "failed", "dead")]

    page = bulk(staff, "cancel", *jobs)
    before = statuses(*jobs)
    response = bulk(staff, "cancel", *jobs, seen=page.context["seen"])

    assert "<h2>Cancel 2 jobs</h2>" in page.text
    assert "1 of those selected is left out: ended already." in page.text
    assert before == ["queued", "failed", "dead"]
    assert statuses(*jobs) == ["cancelled", "cancelled", "dead"]
    assert "2 jobs are cancelled." in response.text
    assert [Event.objects.about(job).count() for job in jobs] == [1, 1, 0]


def test_many_jobs_are_retried_but_none_that_was_tried_meanwhile() -> None:
    staff, key = client_of("Key administrator"), issue().key
    jobs = [make_job(key, status="dead", attempt=3) for _ in range(2)]
    page = bulk(staff, "retry", *jobs)
    Job.objects.filter(pk=jobs[1].pk).update(attempt=6)

    response = bulk(staff, "retry", *jobs, seen=page.context["seen"])

    assert statuses(*jobs) == ["queued", "dead"]
    assert "1 job is queued again." in response.text
    assert "tried again meanwhile" in response.text


def test_jobs_that_nothing_can_be_done_with_are_said_so() -> None:
    response = bulk(client_of("Key administrator"), "cancel", make_job(issue().key, status="dead"))

    assert "None of the selected jobs can be cancelled" in response.text


def test_who_may_only_look_has_no_actions_for_many() -> None:
    job = make_job(issue().key)

    bulk(client_of("Auditor"), "cancel", job, seen=f"{job.pk}:0")

    assert statuses(job) == ["queued"]


def test_a_type_is_written_as_it_is() -> None:
    page = client_of("Auditor").get(page_of(make_job(issue().key, type="crm.sync")))

    assert "crm.sync" in page.text
    assert "Crm.sync" not in page.text
