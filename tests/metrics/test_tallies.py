"""Numbers that processes count in memory, and that outlive them."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from metrics import tallies
from metrics.tallies import CELLS, DROPPED, MAX_ROWS, SUM, Tallies

KEY = ("requests", "production", "ok")
# Counts a million in a process of its own, as fast as it can, telling every thousand.
COUNTING = """
import sys
from pathlib import Path
from django.conf import settings
settings.configure(METRICS_FOLDER=Path(sys.argv[1]))
from metrics.tallies import Tallies
counted = Tallies()
for number in range(1_000_000):
    counted.add(("requests", "production", "ok"))
    if number % 1000 == 999:
        print(number + 1, flush=True)
"""


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.METRICS_FOLDER = tmp_path / "metrics"
    return tmp_path / "metrics"


def test_what_all_processes_counted_is_added_up(folder: Path) -> None:
    # Two of them have files of their own, as two processes do.
    one, other = Tallies(), Tallies()

    one.add(KEY)
    other.add(KEY, 2)
    other.add(("shipped",), 5)

    assert tallies.read()[KEY][0] == 3
    assert tallies.read()["shipped",][0] == 5
    assert len(list(folder.iterdir())) == 2


def test_what_threads_count_at_once_is_counted_whole() -> None:
    counted = Tallies()
    threads = [
        threading.Thread(target=lambda: [counted.add(KEY) for _ in range(20_000)]) for _ in range(4)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert tallies.read()[KEY][0] == 80_000


def test_a_killed_process_takes_nothing_back_and_the_next_one_goes_on(folder: Path) -> None:
    told = 0
    for _ in range(2):
        with subprocess.Popen(
            [sys.executable, "-c", COUNTING, str(folder)], stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout
            told += [int(process.stdout.readline()) for _ in range(5)][-1]
            process.send_signal(signal.SIGKILL)

    assert told <= tallies.read()[KEY][0] <= 2_000_000
    assert len(list(folder.iterdir())) == 1


def test_a_child_does_not_count_in_its_parents_file(folder: Path) -> None:
    counted = Tallies()
    counted.add(KEY)

    child = os.fork()
    if not child:
        counted.add(KEY)
        os._exit(0)
    os.waitpid(child, 0)
    counted.add(KEY)

    assert tallies.read()[KEY][0] == 3
    assert len(list(folder.iterdir())) == 2


def test_an_observation_is_counted_in_its_bucket_with_its_sum() -> None:
    counted = Tallies()

    counted.observe(KEY, ("duration",), 3, 700)
    counted.observe(KEY, ("duration",), 0, 50)

    row = tallies.read()["duration",]
    assert (row[0], row[3], row[SUM]) == (1, 1, 750)
    assert tallies.read()[KEY][0] == 2


def test_more_combinations_than_there_are_rows_are_counted_as_dropped() -> None:
    counted = Tallies()

    for number in range(MAX_ROWS + 10):
        counted.add((f"service {number}",))
    counted.add(("a" * 500,))

    read = tallies.read()
    assert len(read) == MAX_ROWS
    assert read[DROPPED][0] == 12
    assert read["service 1",] == [1] + [0] * (CELLS - 1)


def test_a_folder_that_cannot_be_made_costs_the_numbers_and_no_request(
    settings: Any, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    settings.METRICS_FOLDER = tmp_path / "file" / "metrics"

    Tallies().add(KEY)

    assert tallies.read() == {}
