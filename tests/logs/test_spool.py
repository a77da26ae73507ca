"""The spool loses nothing that was written, and keeps nothing that was shipped."""

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory, mkdtemp

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logs.capture.spool import Spool, SpoolUnavailable, backlog, files, restored_at
from logs.shipping.spool_reader import Reader, Start
from tests.support.product import ROOT

LOTS = 10**9


def drain(reader: Reader, max_bytes: int = 1000) -> list[bytes]:
    found = []
    for batch in reader.batches(max_bytes):
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
    tmp_path: Path,
) -> None:
    writer, reader = Spool(tmp_path, LOTS), Reader(tmp_path)
    writer.append(b"first")
    (mine,) = files(tmp_path)

    drain(reader)
    assert files(tmp_path) == [mine]

    writer._rotate_bytes = 0
    writer.append(b"second")
    assert mine in files(tmp_path)
    assert drain(reader) == [b"second"]
    assert len(files(tmp_path)) == 1
    assert mine not in files(tmp_path)


def test_the_records_of_a_killed_process_are_read_and_its_torn_line_is_left(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, signal, sys; from logs.capture.spool import Spool\n"
        f"writer = Spool(pathlib.Path({str(tmp_path)!r}), 10**9)\n"
        "writer.append(b'whole'); os.write(writer._file._descriptor, b'to')\n"
        "os.kill(os.getpid(), 9)"
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
    assert drain(Reader(tmp_path, {path.name: Start(2)}.__getitem__)) == [b"2"]


def test_a_batch_that_was_begun_ends_where_it_did(tmp_path: Path) -> None:
    writer = Spool(tmp_path, LOTS)
    for text in (b"1", b"2", b"3", b"4"):
        writer.append(text)
    reader = Reader(tmp_path, lambda name: Start(2, fixed_to=6))
    sizes = []

    for batch in reader.batches(LOTS):
        sizes.append((batch.begins_at, batch.ends_at, len(batch.lines)))
        reader.done(batch)

    assert sizes == [(2, 6, 2), (6, 8, 1)]


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


def remove_folder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def remove_files(folder: Path) -> None:
    for path in files(folder):
        path.unlink()


def move_folder(folder: Path) -> None:
    if folder.exists():
        folder.rename(folder.with_name(f"moved-{len(list(folder.parent.iterdir()))}"))


def replace_folder(folder: Path) -> None:
    move_folder(folder)
    folder.mkdir()


HARMS: list[Callable[[Path], None]] = [remove_folder, remove_files, move_folder, replace_folder]


@pytest.mark.parametrize("harm", HARMS)
def test_what_was_not_shipped_is_restored_when_somebody_removes_it(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    folder = tmp_path / "spool"
    writer, reader = Spool(folder, LOTS), Reader(folder)
    writer.append(b"shipped")
    drain(reader)
    writer.append(b"not shipped")

    harm(folder)
    writer.append(b"after")
    writer.check()

    assert drain(reader) == [b"not shipped", b"after"]
    assert drain(Reader(folder)) == [b"shipped", b"not shipped", b"after"]
    assert restored_at(folder)


def test_a_record_is_in_a_file_before_its_answer_leaves(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    writer = Spool(folder, LOTS)
    writer.append(b"before")
    remove_folder(folder)

    writer.append(b"after")

    assert drain(Reader(folder)) == [b"before", b"after"]


def test_a_full_file_that_is_not_shipped_is_restored_too(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    writer = Spool(folder, LOTS)
    writer.append(b"full")
    writer._rotate_bytes = 0
    writer.append(b"current")

    remove_folder(folder)
    writer.check()

    assert drain(Reader(folder)) == [b"full", b"current"]


def test_a_request_writes_its_own_file_anew_and_leaves_the_others_to_the_watch(
    tmp_path: Path,
) -> None:
    folder = tmp_path / "spool"
    writer = Spool(folder, LOTS)
    writer.append(b"full")
    writer._rotate_bytes = 0
    writer.append(b"current")
    writer._rotate_bytes = LOTS
    remove_folder(folder)

    writer.append(b"next")
    at_once = len(files(folder))
    writer.check()

    assert at_once == 1
    assert drain(Reader(folder)) == [b"full", b"current", b"next"]


def test_what_the_worker_removed_stays_away_and_is_let_go_of(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    writer, reader = Spool(folder, LOTS), Reader(folder)
    writer._rotate_bytes = 0
    for number in range(3):
        writer.append(b"%d" % number)
    drain(reader)

    writer.check()

    assert len(files(folder)) == 1
    assert writer._rotated == []
    assert restored_at(folder) is None


def test_a_file_that_the_worker_emptied_before_it_died_is_removed_by_the_next(
    tmp_path: Path,
) -> None:
    writer = Spool(tmp_path, LOTS)
    writer.append(b"shipped")
    (emptied,) = files(tmp_path)
    writer._rotate_bytes = 0
    writer.append(b"current")
    os.truncate(emptied, 0)

    read = {emptied.name: Start(8), files(tmp_path)[1].name: Start(0)}
    found = drain(Reader(tmp_path, read.__getitem__))

    assert found == [b"current"]
    assert emptied not in files(tmp_path)


def test_a_folder_that_is_moved_while_it_is_made_is_made_once_more(tmp_path: Path) -> None:
    folder = tmp_path / "spool"
    writer = Spool(folder, LOTS)
    stopping = threading.Event()

    def move_again_and_again() -> None:
        while not stopping.wait(0.0001):
            with suppress(FileNotFoundError):
                folder.rename(Path(mkdtemp(dir=tmp_path)) / "spool")

    mover = threading.Thread(target=move_again_and_again)
    mover.start()
    try:
        for number in range(30_000):
            writer.append(b"%05d" % number)
    finally:
        stopping.set()
        mover.join()
    writer.check()

    assert drain(Reader(folder)) == [b"%05d" % number for number in range(30_000)]


def test_a_folder_that_cannot_be_created_again_refuses_and_loses_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "spool"
    writer = Spool(folder, LOTS)
    writer.append(b"before")
    shutil.rmtree(folder)
    folder.write_text("in the way")

    with pytest.raises(SpoolUnavailable):
        writer.append(b"refused")
    for _ in range(3):
        with pytest.raises(SpoolUnavailable):
            writer.check()
    has_room = writer.has_room
    folder.unlink()
    writer.check()

    assert not has_room
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "the request log's spool is gone, and requests are refused",
        f"1 of the request log's files were removed from {folder} by another program",
    ]
    assert drain(Reader(folder)) == [b"before", b"refused"]


@given(st.lists(st.sampled_from(["append", "check", "ship", "restart", *HARMS]), max_size=30))
def test_nothing_is_lost_or_doubled_whatever_is_removed_in_between(steps: list[object]) -> None:
    written, shipped, positions = 0, list[int](), dict[str, int]()
    with TemporaryDirectory() as parent:
        folder = Path(parent) / "spool"
        writer = Spool(folder, LOTS)
        writer._rotate_bytes = 20
        reader = Reader(folder, lambda name: Start(positions.get(name, 0)))

        def ship() -> None:
            for batch in reader.batches(10):
                shipped.extend(map(int, batch.lines))
                positions[batch.path.name] = batch.ends_at
                reader.done(batch)

        for step in [*steps, "check", "ship"]:
            if step == "append":
                writer.append(b"%05d" % written)
                written += 1
            elif step == "check":
                writer.check()
            elif step == "ship":
                ship()
            elif step == "restart":
                reader = Reader(folder, lambda name: Start(positions.get(name, 0)))
            elif callable(step):
                step(folder)

    assert sorted(shipped) == list(range(written))
