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
from logs.models import DailyPeak, HourlyUsage, KeyNetwork, RequestContent, RequestLog
from logs.shipping import networks
from tests.support.factories import issue, make_request, record

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


def test_networks_that_are_not_used_for_long_are_forgotten(monkeypatch: Any) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    key, now = issue().key, timezone.now()

    def sent(days: float, address: str, **fields: Any) -> None:
        at = int((now - timedelta(days=days)).timestamp() * 1_000_000)
        networks.add([record(key=key.pk, at=at, address=address, **fields)])

    for number in range(5):
        sent(200, f"203.0.{number}.7", is_key_accepted=True, code="")
    sent(200, "198.51.100.7", is_key_accepted=True, code="")
    sent(100, "198.51.100.7", is_key_accepted=True, code="")
    sent(200, "192.0.2.7", code="key_revoked")
    sent(100, "192.0.3.7", code="key_revoked")

    assert retention.forget_unused(now) == 6

    rows = KeyNetwork.objects.order_by("network")
    assert [row.network for row in rows] == ["192.0.3.0/24", "198.51.100.0/24"]
    # Since when it is known stays: else it would be told of as a new one.
    assert rows[1].first_used_at < now - timedelta(days=199)
    assert retention.forget_unused(now) == 0


def test_peaks_are_kept_as_long_as_they_are_shown() -> None:
    today = timezone.now().date()
    for days in (0, 29, 30, 40, 400):
        DailyPeak.objects.create(
            key_id="k", day=today - timedelta(days=days), busiest=1, minute=0, requests=1
        )

    assert retention.forget_unused(timezone.now()) == 2
    assert DailyPeak.objects.count() == 3


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
