"""Writers of one SQLite file take turns in the order in which they asked."""

import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.db.backends.sqlite3.base import SQLiteCursorWrapper

from database import deadline
from database.connections.sqlite import FileConnection
from database.connections.write_queue import Queue
from tests.support.servers import wait_until

OTHER_PROCESS = """
import sys, time
from pathlib import Path
from database.connections.write_queue import Queue
queue = Queue(Path(sys.argv[1]))
queue.wait(60)
print("has its turn", flush=True)
time.sleep(60)
"""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "test.sqlite3"
    with closing(sqlite3.connect(path)) as made:
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("CREATE TABLE numbers (n INTEGER)")
    return path


def connect(database: Path | str, write_timeout: float = 30.0) -> FileConnection:
    return FileConnection(
        str(database), 0.1, isolation_level=None, uri=True, write_timeout=write_timeout
    )


def cursor(connection: Any) -> Any:
    """Return a cursor as Django asks for one."""
    return connection.cursor(factory=SQLiteCursorWrapper)


@contextmanager
def running(work: Callable[[], object]) -> Iterator[None]:
    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        thread.join()


def is_waiting(queue: Queue) -> bool:
    return queue._place is not None


def test_waiters_go_ahead_in_the_order_in_which_they_came(database: Path) -> None:
    first, *others = [Queue(database) for _ in range(6)]
    order: list[int] = []

    def take(number: int, queue: Queue) -> None:
        queue.wait(30)
        order.append(number)
        queue.leave()

    first.wait(30)
    threads = []
    for number, queue in enumerate(others):
        threads.append(threading.Thread(target=take, args=(number, queue)))
        threads[-1].start()
        wait_until(partial(is_waiting, queue))
    first.leave()
    for thread in threads:
        thread.join()

    assert order == [0, 1, 2, 3, 4]


def test_whoever_comes_back_at_once_goes_behind_those_who_wait(database: Path) -> None:
    greedy, patient = Queue(database), Queue(database)
    greedy.wait(30)
    turns: list[str] = []

    def take() -> None:
        patient.wait(30)
        turns.append("patient")
        patient.leave()

    with running(take):
        wait_until(lambda: is_waiting(patient))
        greedy.leave()
        greedy.wait(30)
        turns.append("greedy")

    assert turns == ["patient", "greedy"]


def test_a_turn_ends_with_the_process_that_has_it(database: Path) -> None:
    queue = Queue(database)
    other = subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, str(database)], stdout=subprocess.PIPE
    )
    assert other.stdout is not None
    with other, other.stdout:
        assert other.stdout.readline() == b"has its turn\n"
        assert not queue.wait(0)
        queue.leave()
        other.send_signal(signal.SIGKILL)

    assert queue.wait(0)


def test_a_turn_ends_with_the_last_reference_to_its_connection(database: Path) -> None:
    forgotten = Queue(database)
    forgotten.wait(0)

    del forgotten

    assert Queue(database).wait(0)


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK", "commit", "rollback", "close"])
def test_a_transaction_keeps_its_turn_until_it_ends(database: Path, end: str) -> None:
    writer, queue = connect(database), Queue(database)
    writing = cursor(writer)
    writing.execute("BEGIN IMMEDIATE")
    writing.execute("INSERT INTO numbers VALUES (%s)", (1,))
    assert not queue.wait(0)
    queue.leave()

    if end.isupper():
        writing.execute(end)
    else:
        getattr(writer, end)()

    assert queue.wait(0)


def test_a_statement_of_its_own_ends_its_turn_whatever_comes_of_it(database: Path) -> None:
    writing, queue = cursor(connect(database)), Queue(database)

    writing.execute("INSERT INTO numbers VALUES (1)")
    writing.execute("\n  update numbers SET n = 2")
    with pytest.raises(sqlite3.OperationalError):
        writing.execute("INSERT INTO nothing VALUES (1)")

    assert queue.wait(0)
    assert writing.execute("SELECT count(*) FROM numbers").fetchone() == (1,)


@pytest.mark.parametrize("is_right", [True, False])
def test_a_statement_for_many_rows_has_one_turn_and_writes_all_or_none(
    database: Path, is_right: bool
) -> None:
    queue, writing = Queue(database), cursor(connect(database))
    waiting: list[bool] = []

    def rows() -> Iterator[tuple[object]]:
        yield (1,)
        waiting.append(queue.wait(0))
        queue.leave()
        yield (2 if is_right else object(),)

    with suppress(sqlite3.Error):
        writing.executemany("INSERT INTO numbers VALUES (%s)", rows())

    assert waiting == [False]
    assert queue.wait(0)
    counted = writing.execute("SELECT count(*) FROM numbers").fetchone()
    assert counted == (2 if is_right else 0,)


def test_a_statement_for_many_rows_waits_for_the_lock(database: Path) -> None:
    holder = cursor(connect(database))
    holder.execute("BEGIN IMMEDIATE")
    writing = cursor(connect(database, write_timeout=1.0))

    began = time.monotonic()
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        writing.executemany("INSERT INTO numbers VALUES (%s)", [(1,), (2,)])

    # SQLite's own waiting would end after a tenth of it.
    assert time.monotonic() - began > 0.9
    holder.execute("ROLLBACK")


def test_a_link_to_the_file_has_the_same_queue(database: Path, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere" / "link.sqlite3"
    link.parent.mkdir()
    link.symlink_to(database)
    queue = Queue(database)
    queue.wait(0)

    assert not Queue(link).wait(0)


def test_reading_waits_for_nobody(database: Path) -> None:
    queue = Queue(database)
    queue.wait(0)

    counted = cursor(connect(database)).execute("SELECT count(*) FROM numbers").fetchone()

    assert counted == (0,)


def test_a_place_whose_holder_stands_still_does_not_keep_others_from_writing(
    database: Path,
) -> None:
    """It is stopped, and has not begun."""
    queue = Queue(database)
    queue.wait(0)

    with deadline.running(0.5):
        cursor(connect(database)).execute("INSERT INTO numbers VALUES (1)")


def test_a_turn_goes_before_those_who_write_without_one(database: Path) -> None:
    """Such as a program that knows nothing of the queue: SQLite alone would favour the last."""
    stranger, stopping = sqlite3.connect(database, check_same_thread=False), threading.Event()
    stranger.isolation_level = None

    def write() -> None:
        while not stopping.is_set():
            stranger.execute("BEGIN IMMEDIATE")
            time.sleep(0.02)
            stranger.execute("ROLLBACK")
            time.sleep(0.002)

    with running(write):
        try:
            for _ in range(20):
                with deadline.running(1.0):
                    cursor(connect(database)).execute("INSERT INTO numbers VALUES (1)")
        finally:
            stopping.set()


def test_a_writer_waits_as_long_as_its_deadline_or_its_connection_says(database: Path) -> None:
    holder = cursor(connect(database))
    holder.execute("BEGIN IMMEDIATE")
    writer = connect(database, write_timeout=3.0)
    writing = cursor(writer)

    began = time.monotonic()
    with deadline.running(0.3), pytest.raises(sqlite3.OperationalError, match="locked"):
        writing.execute("BEGIN IMMEDIATE")
    limited = time.monotonic() - began
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        writing.execute("BEGIN IMMEDIATE")
    unlimited = time.monotonic() - began - limited

    assert limited > 0.25
    assert unlimited > 2.9
    assert writer.execute("PRAGMA busy_timeout").fetchone() == (100,)
    holder.execute("ROLLBACK")


def test_a_writer_that_gave_up_is_out_of_the_way(database: Path) -> None:
    holder, writing = cursor(connect(database)), cursor(connect(database, write_timeout=0.1))
    holder.execute("BEGIN IMMEDIATE")
    with pytest.raises(sqlite3.OperationalError):
        writing.execute("BEGIN IMMEDIATE")

    holder.execute("ROLLBACK")

    assert Queue(database).wait(0)


def test_a_database_that_may_only_be_read_says_so_in_the_words_of_sqlite(database: Path) -> None:
    reading = connect(f"file:{database}?mode=ro")

    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        cursor(reading).execute("INSERT INTO numbers VALUES (1)")


@pytest.mark.django_db
def test_the_product_opens_its_database_with_turns(is_postgresql: bool) -> None:
    connection.ensure_connection()

    assert is_postgresql or isinstance(connection.connection, FileConnection)
