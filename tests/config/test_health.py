"""Health: alive, and able to serve."""

import shutil
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from jobs.models import Worker
from logs.capture.spool import Spool

pytestmark = pytest.mark.django_db


def test_a_process_that_answers_is_alive() -> None:
    assert Client().get("/healthz").json() == {"status": "ok"}


@pytest.mark.parametrize(("silence", "status"), [(5, 200), (60, 503)])
def test_it_is_ready_while_a_worker_says_that_it_lives(silence: int, status: int) -> None:
    seen = timezone.now() - timedelta(seconds=silence)
    Worker.objects.create(host="here", pid=1, seen_at=seen)

    response = Client().get("/readyz")

    assert response.status_code == status
    assert response.json()["checks"]["database"] == "ok"
    assert response.json()["checks"]["counters"] == "ok"
    assert (response.json()["checks"]["worker"] == "ok") == (status == 200)


def test_it_is_not_ready_when_no_record_could_be_written(settings: Any, tmp_path: Path) -> None:
    Worker.objects.create(host="here", pid=1, seen_at=timezone.now())
    # Nobody, root included, makes a folder below a file.
    (tmp_path / "file").touch()
    settings.LOG_SPOOL = tmp_path / "file" / "spool"

    response = Client().get("/readyz")

    assert response.status_code == 503
    assert "cannot be written" in response.json()["checks"]["request_log"]


def test_it_says_when_records_that_somebody_removed_were_written_anew(
    settings: Any, tmp_path: Path
) -> None:
    settings.LOG_SPOOL = tmp_path / "spool"
    writer = Spool(settings.LOG_SPOOL, 10**9)
    writer.append(b"record")
    before = Client().get("/readyz").json()["request_log"]["restored_at"]

    shutil.rmtree(settings.LOG_SPOOL)
    writer.check()

    after = Client().get("/readyz").json()["request_log"]["restored_at"]
    assert before is None
    assert timezone.now() - datetime.fromisoformat(after) < timedelta(minutes=1)
