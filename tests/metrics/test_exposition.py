"""The text of a scrape."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.db import InterfaceError

from metrics import exposition
from metrics.families import Counter, Family, Histogram, Readings, Sample
from metrics.tallies import TALLIES
from tests.support.services import program

CALLS = Counter("calls_total", "Calls.", ("service",))
QUIET = Counter("quiet_total", "Nothing yet.")
DURATION = Histogram("duration_seconds", "How long.", ("kind",), (0.001, 0.5))
DEPTH = Family("depth", 'A "depth"\\in\nlines.', ("of",))


@pytest.fixture
def offer(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Have the apps offer these alone, in a folder of their own."""
    settings.METRICS_FOLDER = tmp_path
    TALLIES._forget()
    monkeypatch.setattr(exposition, "_kept", {})

    def offer(*offers: Family | Readings) -> None:
        monkeypatch.setattr(exposition, "offered", lambda: offers)

    yield offer
    TALLIES._forget()


def lines_of(name: str) -> list[str]:
    return [line for line in exposition.text().splitlines() if line.startswith(name)]


def test_a_counter_shows_each_combination_of_labels(offer: Any) -> None:
    offer(CALLS)

    CALLS.add("orders")
    CALLS.add("stock", amount=2)

    assert lines_of("calls") == [
        'calls_total{service="orders"} 1',
        'calls_total{service="stock"} 2',
    ]


def test_a_counter_without_labels_begins_at_0(offer: Any) -> None:
    offer(QUIET)

    assert lines_of("quiet") == ["quiet_total 0"]


def test_a_histogram_is_cumulative_and_in_seconds(offer: Any) -> None:
    offer(DURATION)

    for bucket, nanoseconds in ((0, 500_000), (1, 2_000_000), (2, 3_000_000_000)):
        TALLIES.observe(("calls_total", ""), ("duration_seconds", "decision"), bucket, nanoseconds)

    assert lines_of("duration") == [
        'duration_seconds_bucket{kind="decision",le="0.001"} 1',
        'duration_seconds_bucket{kind="decision",le="0.5"} 2',
        'duration_seconds_bucket{kind="decision",le="+Inf"} 3',
        'duration_seconds_sum{kind="decision"} 3.0025',
        'duration_seconds_count{kind="decision"} 3',
    ]


def down() -> Iterator[Sample]:
    raise InterfaceError("the database is gone")


def broken() -> Iterator[Sample]:
    yield Sample(DEPTH, ("half",), 1)
    raise KeyError("a defect")


@pytest.mark.parametrize("read", [down, broken])
def test_what_cannot_be_read_is_left_out_and_said_so(offer: Any, read: Any) -> None:
    offer(Readings("queue", (DEPTH,), read), QUIET)

    assert lines_of("latchkey_readings_up") == ['latchkey_readings_up{readings="queue"} 0']
    assert lines_of("depth") == []
    assert lines_of("quiet") == ["quiet_total 0"]


def test_readings_are_kept_for_their_time(offer: Any) -> None:
    numbers = iter(range(10))
    kept = Readings("kept", (DEPTH,), lambda: [Sample(DEPTH, ("kept",), next(numbers))], 60)
    offer(kept)

    assert lines_of("depth") == lines_of("depth") == ['depth{of="kept"} 0']


def test_prometheus_reads_odd_values(offer: Any) -> None:
    offer(
        Readings("odd", (DEPTH,), lambda: [Sample(DEPTH, ('a "b"\\c\nd',), 0.25)]), DURATION, CALLS
    )
    CALLS.add("")

    text = exposition.text()

    checked = subprocess.run(
        [program("promtool"), "check", "metrics"], input=text, capture_output=True, text=True
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")
    assert 'depth{of="a \\"b\\"\\\\c\\nd"} 0.25' in text
