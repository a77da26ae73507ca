"""What is old goes, what is not stays, and usage stays."""

import io
import json
from contextlib import redirect_stdout
from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from database.uuid7 import first_id_at
from logs import retention
from logs.models import HourlyUsage, RequestContent, RequestLog
from tests.support.factories import issue, make_request

pytestmark = pytest.mark.django_db


def aged(days: float, **fields: Any) -> RequestLog:
    timestamp = timezone.now() - timedelta(days=days)
    return make_request(id=first_id_at(timestamp), **fields)


def output(name: str, *arguments: str) -> str:
    stream = io.StringIO()
    with redirect_stdout(stream):
        call_command(name, *arguments)
    return stream.getvalue()


def test_the_worker_deletes_what_is_older_than_the_setting(settings: Any, monkeypatch: Any) -> None:
    settings.LOG_RETENTION_DAYS = 10
    monkeypatch.setattr(retention, "BATCH", 2)
    old = [aged(10.1 + n) for n in range(5)]
    young = [aged(9.9), make_request()]
    HourlyUsage.objects.create(hour=timezone.now() - timedelta(days=40), environment="production")

    assert sum(retention.prune(retention.expired_before(timezone.now()))) == len(old)

    assert set(RequestLog.objects.all()) == set(young)
    assert set(RequestContent.objects.values_list("pk", flat=True)) == {log.pk for log in young}
    assert HourlyUsage.objects.exists()


def test_a_dry_run_says_how_many_and_deletes_none() -> None:
    aged(40)

    assert output("prune_logs", "--dry-run").startswith("1 requests are older than ")
    assert RequestLog.objects.count() == 1
    assert output("prune_logs", "--older-than", "35d") == "1 requests deleted.\n"
    assert RequestLog.objects.count() == 0


@pytest.mark.parametrize("age", ["x", "30", "999999d"])
def test_an_age_that_is_none_is_refused(age: str) -> None:
    with pytest.raises(CommandError) as refused:
        call_command("prune_logs", "--older-than", age)

    assert refused.value.returncode == 2


def test_an_export_is_narrowed_by_its_arguments() -> None:
    key = issue().key
    aged(2, key=key)
    wanted = make_request(key=key, status=404, code="not_found")

    lines = output(
        "export_logs", "--format", "ndjson", "--key", key.pk, "--code", "not_found",
        "--after", "1h", "--environment", "production", "--status", "404",
    ).splitlines()  # fmt: skip

    assert [json.loads(line)["id"] for line in lines] == [str(wanted.pk)]
    assert len(output("export_logs", "--format", "csv", "--before", "1d").splitlines()) == 2
