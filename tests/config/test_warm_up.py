"""Before its first request a thread does what requests do, and nothing of it stays."""

import json
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from django.conf import settings as project
from django.core.handlers.wsgi import WSGIHandler
from django.db import connections

from apikeys.guard import throttling
from apikeys.models import ApiKey
from config.server import warm_up
from logs.capture import spool
from logs.capture.record import Record
from metrics.tallies import FILE_BYTES, Tallies

pytestmark = pytest.mark.django_db


def recorded() -> int:
    return spool.size(project.LOG_SPOOL)


def test_the_rehearsal_is_an_answer_with_a_record() -> None:
    record = Record(*json.loads(warm_up.rehearse()))

    assert (record.status, record.route, record.code) == (200, "key", "")
    assert record.key == warm_up.REHEARSED.id
    assert record.is_key_accepted
    assert '"remaining"' in record.response_body


def warm_a_thread() -> None:
    warm_up.warm_up(WSGIHandler())
    connections.close_all()


def in_a_thread() -> None:
    thread = Thread(target=warm_a_thread)
    thread.start()
    thread.join()


@pytest.mark.django_db(transaction=True)
def test_nothing_of_the_rehearsal_is_stored_counted_or_recorded() -> None:
    before = recorded()

    in_a_thread()

    assert recorded() == before
    assert not ApiKey.objects.exists()
    decision = throttling.peek(warm_up.REHEARSED)
    assert decision.remaining == [window.limit for window in decision.windows]


@pytest.mark.django_db(transaction=True)
def test_the_file_of_the_metrics_is_there_before_the_first_request(
    monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path
) -> None:
    monkeypatch.setattr(warm_up, "TALLIES", Tallies())
    settings.METRICS_FOLDER = tmp_path

    in_a_thread()

    assert [path.stat().st_size for path in tmp_path.iterdir()] == [FILE_BYTES]


def test_what_is_down_stops_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise OSError

    monkeypatch.setattr(warm_up.key_lookup, "find", fail)

    warm_up.warm_up(fail)
