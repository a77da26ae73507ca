"""The spool loses nothing that was written, and keeps nothing that was shipped."""

import os
import subprocess
import sys
import threading
from pathlib import Path

from logs import spool
from logs.spool import Reader, Spool, backlog, files
from tests.latchkey import ROOT

LOTS = 10**9


def drain(reader: Reader, most_bytes: int = 1000) -> list[bytes]:
    found = []
    for batch in reader.batches(most_bytes):
        found += batch.lines
        reader.done(batch)
    return found


def test_what_threads_append_is_read_whole_and_once(tmp_path: Path) -> None:
    writer = Spool(tmp_path, LOTS)

    def write(name: int) -> None:
        for number in range(200):
            writer.append(f"{name}-{number}-".encode() + b"x" * (number * 7))

    threads = [threading.Thread(target=write, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    found = [line.rstrip(b"x") for line in drain(Reader(tmp_path))]
    assert sorted(found) == sorted(f"{t}-{n}-".encode() for t in range(4) for n in range(200))


def test_a_batch_that_is_not_taken_is_read_again(tmp_path: Path) -> None:
    Spool(tmp_path, LOTS).append(b"first")
    reader = Reader(tmp_path)

    again = [batch.lines for _ in range(2) for batch in reader.batches(1000)]

    assert again == [[b"first"], [b"first"]]


def test_a_line_longer_than_a_batch_is_read(tmp_path: Path) -> None:
    writer = Spool(tmp_path, LOTS)
    writer.append(b"a" * 5000)
    writer.append(b"b")

    assert drain(Reader(tmp_path), 100) == [b"a" * 5000, b"b"]


def test_a_file_goes_only_when_it_is_read_and_its_writer_has_left_it(
    tmp_path: Path, monkeypatch: object
) -> None:
    writer, reader = Spool(tmp_path, LOTS), Reader(tmp_path)
    writer.append(b"first")
    (mine,) = files(tmp_path)

    drain(reader)
    assert files(tmp_path) == [mine]

    writer._written = spool.ROTATE_BYTES
    writer.append(b"second")
    assert mine in files(tmp_path)
    assert drain(reader) == [b"second"]
    assert len(files(tmp_path)) == 1
    assert mine not in files(tmp_path)


def test_the_records_of_a_killed_process_are_read_and_its_torn_line_is_left(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, signal, sys; from logs.spool import Spool\n"
        f"writer = Spool(pathlib.Path({str(tmp_path)!r}), 10**9)\n"
        "writer.append(b'whole'); os.write(writer._file, b'to'); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False)

    assert drain(Reader(tmp_path)) == [b"whole"]
    assert files(tmp_path) == []


def test_a_reader_goes_on_where_it_is_told_to(tmp_path: Path) -> None:
    writer, reader = Spool(tmp_path, LOTS), Reader(tmp_path)
    writer.append(b"1")
    drain(reader)
    writer.append(b"2")
    (path,) = files(tmp_path)

    assert drain(reader) == [b"2"]
    assert drain(Reader(tmp_path)) == [b"1", b"2"]
    assert drain(Reader(tmp_path, {path.name: 2})) == [b"2"]


def test_a_file_that_is_written_to_all_the_time_keeps_no_other_waiting(tmp_path: Path) -> None:
    busy, quiet = Spool(tmp_path, LOTS), Spool(tmp_path, LOTS)
    busy.append(b"busy")
    quiet.append(b"quiet")
    reader, found = Reader(tmp_path), []

    for batch in reader.batches(1000):
        found.append(batch.lines)
        reader.done(batch)
        busy.append(b"more")

    assert found == [[b"busy"], [b"quiet"]]


def test_a_small_spool_empties_by_itself_although_its_writers_live(tmp_path: Path) -> None:
    writers = [Spool(tmp_path, 100_000, processes=2) for _ in range(2)]
    reader = Reader(tmp_path)

    for number in range(400):
        writer = writers[number % 2]
        writer._measure_at = 0.0
        assert writer.has_room
        writer.append(b"x" * 1000)
        if number % 20 == 19:
            drain(reader)


def test_the_backlog_is_told(tmp_path: Path) -> None:
    writer, reader = Spool(tmp_path, LOTS), Reader(tmp_path)
    assert backlog(tmp_path) == (0, 0, 0.0)
    writer.append(b'["id", 1000000]')

    total, unshipped, lag = backlog(tmp_path)
    assert total == unshipped == os.path.getsize(files(tmp_path)[0])  # noqa: PTH202
    assert lag > 1_000_000

    drain(reader)
    reader.note_progress()
    assert backlog(tmp_path)[1:] == (0, 0.0)


def test_a_full_spool_has_no_room_until_it_is_shipped(tmp_path: Path) -> None:
    def has_room() -> bool:
        writer._measure_at = 0.0
        return writer.has_room

    writer = Spool(tmp_path, 100)
    before = has_room()
    writer.append(b"x" * 200)
    full = has_room()
    files(tmp_path)[0].unlink()

    assert (before, full, has_room()) == (True, False, True)
