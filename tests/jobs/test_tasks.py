"""Tasks of other apps, run by the job runner: what ``django.tasks`` says of a backend holds."""

import logging
import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.db import transaction
from django.utils import timezone
from django_tasks import TaskResultStatus, default_task_backend, task, task_backends
from django_tasks.base import TaskResult
from django_tasks.exceptions import (
    InvalidTaskError,
    TaskResultDoesNotExist,
    TaskResultMismatch,
)
from django_tasks.signals import task_enqueued, task_finished, task_started

from jobs import checks, leases, queue
from jobs.models import Job
from jobs.registry import Steps, job_types, runnable_types
from jobs.tasks.backend import JobBackend
from jobs.tasks.results import AttemptEnded
from jobs.worker.runner import Runner
from tests.support import tasks
from tests.support.factories import issue, make_job

pytestmark = pytest.mark.django_db(transaction=True)

BACKEND = "jobs.tasks.backend.JobBackend"
NUL, HALF = "\x00", "\ud83d"


@pytest.fixture(autouse=True)
def backend(settings: Any) -> None:
    """Have tasks run as jobs."""
    settings.TASKS = {"default": {"BACKEND": BACKEND, "QUEUES": ["default", "mail"]}}


def run_one(*, is_stopping: bool = False) -> Job:
    """Run the job that is due first, as a runner does."""
    stopping = threading.Event()
    if is_stopping:
        stopping.set()
    job = queue.claim("host:1")
    assert job is not None
    Runner((), stopping)._run(job, runnable_types()[job.type])
    return Job.objects.get(pk=job.pk)


def run_to_the_end() -> int:
    """Run the only job until it has ended; return its attempts."""
    while (job := run_one()).status == "failed":
        Job.objects.update(run_at=timezone.now())
    return job.attempt


def refreshed(result: TaskResult[Any]) -> TaskResult[Any]:
    result.refresh()
    return result


def test_a_task_that_is_enqueued_is_a_job_without_a_key() -> None:
    result = tasks.add.enqueue(1, second=2)

    job = Job.objects.get()
    assert (job.key, job.type, job.params["task"]) == (None, "tasks.default", tasks.add.module_path)
    assert (result.id, result.status) == (str(job.pk), TaskResultStatus.READY)
    assert (result.task, result.args, result.kwargs) == (tasks.add, [1], {"second": 2})
    assert (result.started_at, result.last_attempted_at, result.finished_at) == (None, None, None)
    assert (result.attempts, result.errors, result.is_finished) == (0, [], False)
    with pytest.raises(ValueError, match="not finished"):
        _ = result.return_value


def test_a_task_has_its_result_once_it_has_run() -> None:
    result = tasks.add.enqueue(1, second=2)

    run_one()

    refreshed(result)
    assert (result.status, result.return_value) == (TaskResultStatus.SUCCESSFUL, 3)
    assert (result.attempts, result.worker_ids, result.errors) == (1, ["host:1"], [])
    assert result.finished_at >= result.started_at >= result.enqueued_at
    assert result.last_attempted_at is not None


def test_a_task_that_is_enqueued_in_a_transaction_goes_with_it() -> None:
    with transaction.atomic():
        tasks.add.enqueue(1)
        transaction.set_rollback(True)

    assert not Job.objects.exists()


def test_a_coroutine_is_enqueued_and_run() -> None:
    result = async_to_sync(tasks.add_later.aenqueue)(1)

    run_one()

    async_to_sync(result.arefresh)()
    assert str(result.return_value) == "2"


def test_a_higher_priority_comes_first_and_the_older_of_two_equals() -> None:
    results = [tasks.add.using(priority=number).enqueue(number) for number in (0, -5, 7, 0)]

    order = [str(run_one().pk) for _ in results]

    assert order == [results[number].id for number in (2, 0, 3, 1)]


def test_a_task_waits_until_its_time_has_come() -> None:
    later = timezone.now() + timedelta(hours=1)
    result = tasks.add.using(run_after=later).enqueue(1)

    assert queue.claim("host:1") is None

    assert task_backends["default"].get_result(result.id).task.run_after == later


def test_a_worker_of_a_queue_runs_the_tasks_of_that_queue_alone() -> None:
    tasks.add.enqueue(1)
    mail = tasks.add.using(queue_name="mail").enqueue(2)

    job = queue.claim("host:1", ["mail"])

    assert job is not None
    assert str(job.pk) == mail.id
    assert queue.claim("host:1", ["mail"]) is None
    assert set(runnable_types()["tasks.default"].queues) == {"default", "mail"}


def test_a_task_that_takes_its_context_knows_its_result_and_attempt() -> None:
    result = tasks.tell.enqueue()

    run_one()

    assert refreshed(result).return_value == [result.id, 1]


def test_a_failure_is_kept_with_its_class_and_traceback_and_without_secrets(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    # pytest-xdist cannot pass half of a character on.
    caplog.set_level(logging.CRITICAL, "jobs.worker.runner")
    monkeypatch.setattr(tasks, "value", f"{NUL}{HALF}")
    secret = "Zx81kQ" * 6
    result = tasks.fail.enqueue(f"lk_prod_AbCdEfGhIjK1_{secret}")

    assert run_to_the_end() == 3

    refreshed(result)
    assert (result.status, result.is_finished) == (TaskResultStatus.FAILED, True)
    assert [error.exception_class for error in result.errors] == [ValueError] * 3
    assert "raise ValueError(f" in result.errors[0].traceback
    assert (
        result.errors[0].traceback.splitlines()[-1].startswith("ValueError: lk_prod_AbCdEfGhIjK1_")
    )
    assert secret not in str(result.errors) + Job.objects.get().reason
    with pytest.raises(ValueError, match="failed"):
        _ = result.return_value


def test_a_task_that_is_going_to_be_tried_again_is_ready() -> None:
    result = tasks.fail.enqueue("no")

    run_one()

    assert (refreshed(result).status, len(result.errors)) == (TaskResultStatus.READY, 1)


def test_a_task_that_exits_fails_like_any_other(settings: Any) -> None:
    settings.TASKS = {"default": {"BACKEND": BACKEND, "OPTIONS": {"ATTEMPTS": 1}}}
    result = tasks.leave.enqueue()

    assert run_to_the_end() == 1

    assert refreshed(result).errors[0].exception_class is SystemExit
    assert result.errors[0].traceback.endswith("SystemExit: enough\n")


def test_a_plain_function_runs_outside_transactions() -> None:
    result = tasks.is_in_a_transaction.enqueue()

    run_one()

    assert refreshed(result).return_value is False


@pytest.mark.parametrize(
    ("value", "kept"),
    [(f"a{NUL}b", "a\ufffdb"), ({f"k{HALF}": [HALF]}, {"k\ufffd": ["\ufffd"]})],
)
def test_a_result_that_no_database_keeps_is_kept_without_those_characters(
    value: Any, kept: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "value", value)
    result = tasks.give.enqueue()

    assert run_to_the_end() == 1

    assert refreshed(result).return_value == kept
    assert tasks.names() == ["a gift"]


@pytest.mark.parametrize("value", [float("nan"), print, {1j: 1}])
def test_a_result_that_is_not_json_fails_for_good(
    value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks, "value", value)
    result = tasks.give.enqueue()

    assert run_to_the_end() == 1

    assert refreshed(result).status == TaskResultStatus.FAILED
    assert result.errors[0].exception_class in {TypeError, ValueError}
    assert tasks.names() == ["a gift"]


def test_a_generator_resumes_after_its_last_step_when_the_database_fails_one() -> None:
    result = tasks.count.enqueue(4)

    assert run_to_the_end() == 2

    assert refreshed(result).return_value == {"done": 4, "last": "1\ufffd"}
    assert tasks.names() == [f"step {number}" for number in range(4)]
    assert tasks.MESSAGE not in str(result.errors)


def test_a_lost_worker_is_an_error_and_another_attempt() -> None:
    result = tasks.add.enqueue(1)
    assert queue.claim("host:1") is not None
    Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))

    assert leases.recover(timezone.now()) == 1

    Job.objects.update(run_at=timezone.now())
    assert run_to_the_end() == 2
    assert (refreshed(result).return_value, result.attempts) == (1, 2)
    assert result.errors[0].exception_class is AttemptEnded


def test_a_runner_that_is_stopped_gives_a_task_back_uncalled() -> None:
    result = tasks.add.enqueue(1)

    assert run_one(is_stopping=True).status == "queued"

    assert (refreshed(result).status, result.attempts) == (TaskResultStatus.READY, 0)


def test_the_signals_are_sent_when_a_task_is_enqueued_starts_and_ends() -> None:
    seen: list[tuple[str, str]] = []
    receivers = {
        name: lambda task_result, _name=name, **_: seen.append((_name, task_result.status))
        for name in ("enqueued", "started", "finished")
    }
    signals = {"enqueued": task_enqueued, "started": task_started, "finished": task_finished}
    for name, signal in signals.items():
        signal.connect(receivers[name])
    try:
        tasks.fail.enqueue("no")
        run_to_the_end()
    finally:
        for name, signal in signals.items():
            signal.disconnect(receivers[name])

    assert seen == [("enqueued", "READY"), *[("started", "RUNNING")] * 3, ("finished", "FAILED")]


def test_a_result_is_found_by_its_id_alone_and_jobs_of_keys_are_none() -> None:
    job = make_job(issue().key)

    for identifier in ("123", str(uuid4()), str(job.pk)):
        with pytest.raises(TaskResultDoesNotExist):
            default_task_backend.get_result(identifier)
    result = tasks.add.enqueue(1)
    assert tasks.add.get_result(result.id) == result
    with pytest.raises(TaskResultMismatch):
        tasks.tell.get_result(result.id)


@pytest.mark.parametrize("argument", [object(), float("nan"), HALF])
def test_an_argument_that_cannot_be_kept_is_refused_at_once(argument: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        tasks.echo.enqueue(argument)

    assert not Job.objects.exists()


def test_a_task_that_a_worker_cannot_run_is_refused() -> None:
    def local() -> None: ...

    def endless() -> Steps:
        yield from ()

    endless.__qualname__ = "endless"
    for wrong in (local, endless):
        with pytest.raises(InvalidTaskError):
            task(wrong)
    for changes in ({"queue_name": "none"}, {"priority": 101}, {"run_after": datetime(2030, 1, 1)}):  # noqa: DTZ001
        with pytest.raises(InvalidTaskError):
            tasks.add.using(**changes)
    assert tasks.add.using(run_after=datetime(2030, 1, 1, tzinfo=UTC)).run_after


def test_tasks_are_no_job_types_of_the_api() -> None:
    assert "tasks.default" in runnable_types()
    assert "tasks.default" not in job_types()


def test_a_worker_without_the_setting_leaves_tasks_alone(settings: Any) -> None:
    tasks.add.enqueue(1)
    old = timezone.now() - timedelta(days=2)
    Job.objects.update(run_at=old)
    make_job(issue().key, type="customers.merge", run_at=old)
    del settings.TASKS

    assert (queue.claim("host:1"), queue.has_due()) == (None, False)
    assert queue.cancel_unknown_types(timezone.now()) == 1

    assert Job.objects.get(key=None).status == "queued"


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"OPTIONS": {"TIME_LIMIT": "600"}}, "has the TIME_LIMIT '600'"),
        ({"OPTIONS": {"TIME_LIMIT": True}}, "has the TIME_LIMIT True"),
        ({"OPTIONS": {"TIME_LIMIT": float("nan")}}, "has the TIME_LIMIT nan"),
        ({"OPTIONS": {"ATTEMPTS": 0}}, "has the ATTEMPTS 0"),
        ({"OPTIONS": {"LIMIT": 5}}, "has an option 'LIMIT'"),
        ({"QUEUES": []}, "has no list of QUEUES"),
        ({"QUEUES": ["q" * 31]}, "has a queue that cannot be kept"),
    ],
)
def test_a_wrong_option_is_refused_at_the_start(
    settings: Any, changes: dict[str, Any], said: str
) -> None:
    assert checks.check_tasks() == []
    settings.TASKS = {"default": {"BACKEND": BACKEND, **changes}}

    (error,) = checks.check_tasks()

    assert error.msg.startswith(f"TASKS['default'] {said}")
    assert error.hint
    assert error.id == "jobs.E002"


def test_the_backend_supports_all_that_a_backend_can() -> None:
    backend = task_backends["default"]

    assert isinstance(backend, JobBackend)
    assert backend.supports_defer
    assert backend.supports_async_task
    assert backend.supports_get_result
    assert backend.supports_priority
