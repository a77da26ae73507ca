"""The life of a job: every change is checked, and belongs to whoever holds the lease."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.db import connections, transaction
from django.utils import timezone

from apikeys import lifecycle
from apikeys.models import ApiKey
from apikeys.permissions import Permission
from customers.models import Customer
from database.refusals import Conflict
from jobs import leases, queue
from jobs.leases import CancelRequested, LeaseLost, Withdrawn
from jobs.models import Job, JobAttempt, JobFilePart
from jobs.registry import Failure, Step, job_types
from tests.support.factories import ACTOR, expire, issue, make_customer, make_job

pytestmark = pytest.mark.django_db

RUN = [Permission.JOBS_RUN, Permission.CUSTOMERS_READ]


def claimed(**fields: Any) -> Job:
    make_job(issue(permissions=RUN).key, **fields)
    job = queue.claim("a worker")
    assert job is not None
    return job


def withdraw(key: ApiKey, loss: str) -> None:
    """Take a key what it needs for a job."""
    if loss == "revoked":
        lifecycle.revoke(key, actor=ACTOR)
    elif loss == "expired":
        expire(key)
    else:
        permissions = [permission for permission in RUN if permission != loss]
        lifecycle.update(key, actor=ACTOR, permissions=permissions)


def lose(job: Job) -> None:
    """Let a job's lease lapse, and be noticed."""
    Job.objects.filter(pk=job.pk).update(lease_until=timezone.now() - timedelta(seconds=1))
    assert leases.recover(timezone.now()) == 1


def stored(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def test_a_job_is_claimed_once_oldest_first_when_its_time_has_come() -> None:
    key = issue(permissions=RUN).key
    later = make_job(key, run_at=timezone.now() + timedelta(minutes=1))
    first, second = make_job(key), make_job(key)

    taken = [queue.claim("a worker") for _ in range(3)]

    assert [job and job.pk for job in taken] == [first.pk, second.pk, None]
    assert stored(later).status == "queued"
    assert stored(first).status == "running"
    assert JobAttempt.objects.filter(job=first, number=1, finished_at=None).exists()


@pytest.mark.parametrize("loss", ["revoked", "expired", "jobs:run", "customers:read"])
def test_a_job_whose_key_may_no_longer_is_cancelled_with_the_reason(loss: str) -> None:
    key = issue(permissions=RUN).key
    job = make_job(key)
    withdraw(key, loss)

    assert queue.claim("a worker") is None

    assert stored(job).status == "cancelled"
    assert "before the job started" in stored(job).reason


@pytest.mark.parametrize("loss", ["revoked", "expired", "jobs:run", "customers:read"])
def test_a_job_whose_key_may_no_longer_ends_before_its_next_step(loss: str) -> None:
    job = claimed()
    leases.require_key(job)
    withdraw(job.key, loss)

    with pytest.raises(Withdrawn, match="while the job ran"):
        leases.require_key(job)


def test_a_running_job_reaches_no_further_than_its_key_does_now() -> None:
    mine, other = make_customer(), make_customer()
    job = claimed()
    lifecycle.update(job.key, actor=ACTOR, customers=[mine.pk])

    leases.require_key(job)

    assert set(Customer.objects.visible_to(job.key)) == {mine}
    assert other.pk


def test_a_revoked_keys_queue_keeps_nobody_waiting() -> None:
    revoked, good = issue(permissions=RUN).key, issue(permissions=RUN).key
    backlog = [make_job(revoked) for _ in range(5)]
    later = make_job(revoked, run_at=timezone.now() + timedelta(hours=1))
    wanted = make_job(good)
    lifecycle.revoke(revoked, actor=ACTOR)

    taken = queue.claim("a worker")

    assert taken == wanted
    assert {stored(job).status for job in [*backlog, later]} == {"cancelled"}


def test_a_job_of_an_unknown_type_waits_a_day_for_a_worker_that_knows_it() -> None:
    key = issue(permissions=RUN).key
    newer = make_job(key, type="customers.merge")
    known = make_job(key)

    taken = [queue.claim("a worker of the older version") for _ in range(2)]
    soon = queue.cancel_unknown_types(timezone.now() + timedelta(hours=23))
    late = queue.cancel_unknown_types(timezone.now() + timedelta(hours=25))

    assert taken == [known, None]
    assert (soon, late) == (0, 1)
    assert stored(newer).status == "cancelled"
    assert "No worker knows" in stored(newer).reason


def test_a_job_is_about_the_customers_it_names_or_else_its_keys() -> None:
    mine, named = make_customer(), make_customer()
    scoped = issue(permissions=RUN, customers=[mine.pk, named.pk]).key
    kind = job_types()["customers.export"]

    jobs = [
        queue.submit(scoped, kind, {}, customers=[named.pk]),
        queue.submit(scoped, kind, {}),
        queue.submit(issue(permissions=RUN).key, kind, {}),
    ]

    assert [set(job.customers.all()) for job in jobs] == [{named}, {mine, named}, set()]


def test_old_jobs_go_with_their_files_and_what_has_not_ended_stays() -> None:
    now = timezone.now()
    ages = {"old": 91, "young": 89}
    key = issue(permissions=RUN).key
    ended = {
        name: make_job(key, status="dead", finished_at=now - timedelta(days=age))
        for name, age in ages.items()
    }
    ended["old"].parts.create(number=0, content="x")
    waiting = make_job(key, queued_at=now - timedelta(days=400))

    assert queue.prune(now) == 1

    assert set(Job.objects.all()) == {ended["young"], waiting}
    assert not JobFilePart.objects.exists()


def test_success_is_committed_with_its_progress() -> None:
    job = claimed()

    leases.checkpoint(job, Step(3, 4, "three of four", {"last": "x"}, "part 1\n"))
    leases.checkpoint(job, Step(4, 4, part="part 2\n"))
    leases.complete(job, {"done": 4})

    found = stored(job)
    assert (found.status, found.result, found.percent, found.lease) == (
        "succeeded",
        {"done": 4},
        100,
        None,
    )
    assert "".join(part.content for part in found.parts.all()) == "part 1\npart 2\n"
    assert found.file_bytes == 14
    assert found.attempts.get().finished_at is not None


def test_a_failure_is_tried_again_later_and_later_until_it_is_given_up() -> None:
    job = claimed(max_attempts=3)
    delays = []
    for _ in range(2):
        leases.fail(job, Failure("It broke."))
        found = stored(job)
        assert found.status == "failed"
        delays.append((found.run_at - timezone.now()).total_seconds())
        Job.objects.filter(pk=job.pk).update(run_at=timezone.now())
        again = queue.claim("another")
        assert again is not None
        job = again
    leases.fail(job, Failure("It broke again."))

    found = stored(job)
    assert (found.status, found.reason, found.attempt) == ("dead", "It broke again.", 3)
    assert 0.8 < delays[0] <= 2 < delays[1] * 1.1 <= 4.4
    assert [attempt.error for attempt in found.attempts.all()] == [
        "It broke.", "It broke.", "It broke again.",
    ]  # fmt: skip


def test_an_error_is_kept_without_secrets_on_one_line() -> None:
    job = claimed(max_attempts=1)

    leases.fail(job, Failure("lk_prod_AbCdEfGhIjK1_" + "Zx81kQ" * 6 + "\nsecond line\x00"))

    error = stored(job).attempts.get().error
    assert error.isprintable()
    assert "Zx81kQ" not in error


def test_a_lost_job_is_tried_again_and_its_old_runner_can_write_nothing() -> None:
    job = claimed(max_attempts=2)

    lose(job)

    assert stored(job).status == "failed"
    writes: list[Callable[[], object]] = [
        lambda: leases.checkpoint(job, Step(1)),
        lambda: leases.complete(job, {}),
        lambda: leases.renew(job),
    ]
    for write in writes:
        with pytest.raises(LeaseLost), transaction.atomic():
            write()
    leases.fail(job, Failure("too late"))
    leases.release(job)
    assert stored(job).status == "failed"
    assert stored(job).attempts.get().error == leases.LOST


def test_a_lease_that_is_renewed_is_not_lost() -> None:
    job = claimed()
    leases.renew(job)

    assert leases.recover(timezone.now()) == 0


def test_a_released_job_goes_on_where_it_was_and_uses_up_no_attempt() -> None:
    job = claimed()
    leases.checkpoint(job, Step(5, 9, state={"last": "five"}))

    leases.release(job)

    again = queue.claim("another")
    assert again is not None
    assert (again.attempt, again.done, again.state) == (1, 5, {"last": "five"})


def test_a_waiting_job_that_is_cancelled_never_runs() -> None:
    job = make_job(issue(permissions=RUN).key)

    queue.cancel(job, actor=ACTOR, reason="Not needed.")

    assert queue.claim("a worker") is None
    assert (stored(job).status, stored(job).reason) == ("cancelled", "Not needed.")
    with pytest.raises(Conflict):
        queue.cancel(job, actor=ACTOR, reason="Again.")


def test_a_running_job_that_is_cancelled_writes_nothing_more() -> None:
    job = claimed()
    queue.cancel(job, actor=ACTOR, reason="Not needed.")

    writes: list[Callable[[], object]] = [
        lambda: leases.checkpoint(job, Step(1)),
        lambda: leases.complete(job, {}),
    ]
    for write in writes:
        with pytest.raises(CancelRequested), transaction.atomic():
            write()
    leases.stop(job)

    assert stored(job).status == "cancelled"


@pytest.mark.parametrize(
    "happens",
    [leases.release, lambda job: leases.fail(job, Failure("It broke.")), lose],
    ids=["the worker stops", "the attempt fails", "the runner is lost"],
)
def test_what_was_cancelled_while_it_ran_is_not_tried_again(
    happens: Callable[[Job], object],
) -> None:
    job = claimed(max_attempts=5)
    queue.cancel(job, actor=ACTOR, reason="Not needed.")

    happens(job)

    assert stored(job).status == "cancelled"
    assert stored(job).attempts.get().finished_at is not None
    assert queue.claim("another") is None


@pytest.mark.parametrize(
    ("status", "is_tried"),
    [
        ("dead", True),
        ("cancelled", True),
        ("failed", True),
        ("queued", False),
        ("succeeded", False),
    ],
)
def test_what_has_ended_badly_can_be_tried_again(status: str, is_tried: bool) -> None:
    job = make_job(issue(permissions=RUN).key, status=status, attempt=3)

    if is_tried:
        queue.retry(job, actor=ACTOR)
        assert stored(job).status == "queued"
        assert stored(job).max_attempts > 3
    else:
        with pytest.raises(Conflict):
            queue.retry(job, actor=ACTOR)


def race(*works: Any) -> list[Any]:
    start = threading.Barrier(len(works))

    def run(work: Any) -> Any:
        start.wait()
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(len(works)) as pool:
        return list(pool.map(run, works))


ROUNDS = 200


@pytest.mark.django_db(transaction=True)
def test_of_two_workers_one_gets_a_job() -> None:
    key = issue(permissions=RUN).key
    for _ in range(ROUNDS):
        make_job(key)
        taken = race(lambda: queue.claim("one"), lambda: queue.claim("two"))
        assert sum(job is not None for job in taken) == 1


@pytest.mark.django_db(transaction=True)
def test_a_cancel_races_a_pick_up_to_a_possible_state() -> None:
    key = issue(permissions=RUN).key
    for _ in range(ROUNDS):
        job = make_job(key)
        taken, _ = race(
            lambda: queue.claim("one"),
            lambda job=job: queue.cancel(job, actor=ACTOR, reason="Race."),
        )
        found = stored(job)
        if taken is None:
            assert found.status == "cancelled"
        else:
            assert (found.status, bool(found.cancel_requested_at)) == ("running", True)
            leases.stop(taken)


@pytest.mark.django_db(transaction=True)
def test_a_revoke_races_a_start_to_a_possible_state() -> None:
    for _ in range(ROUNDS):
        key = issue(permissions=RUN).key
        job = make_job(key)
        taken, _ = race(
            lambda: queue.claim("one"), lambda key=key: lifecycle.revoke(key, actor=ACTOR)
        )
        found = stored(job)
        assert found.status == ("running" if taken else "cancelled")
        if taken:
            leases.complete(taken, {})
