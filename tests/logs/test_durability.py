"""What a web process and the worker say to each other of records that are stored."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from logs.capture.durability import MAX_FILES, SOCKET, Acknowledgements, Announcer
from logs.capture.spool import Spool, SpoolUnavailable
from logs.capture.spool_file import SpoolFile
from logs.shipping.shipper import LOCK, Shipper
from tests.support.servers import wait_until


@pytest.fixture
def folder() -> Iterator[Path]:
    # The address of a socket is short.
    with TemporaryDirectory() as name:
        yield Path(name)


@pytest.fixture
def acknowledgements(folder: Path) -> Acknowledgements:
    """What a web process knows, without a worker."""
    made = Acknowledgements(folder / SOCKET)
    threading.Thread(target=made.listen, daemon=True).start()
    return made


@pytest.fixture
def announcer(folder: Path, acknowledgements: Acknowledgements) -> Iterator[Announcer]:
    """A worker to which the web process is connected."""
    with closing(Announcer(folder / SOCKET)) as made:
        wait_until(lambda: made.wait(0.01) is None and acknowledgements.keep_up)
        made.wait(1)
        yield made


@pytest.fixture
def file(folder: Path) -> SpoolFile:
    return SpoolFile(folder / "one.ndjson")


def test_what_is_stored_of_an_own_old_file_is_not_forgotten_for_newer_ones(
    acknowledgements: Acknowledgements, announcer: Announcer, file: SpoolFile
) -> None:
    ticket = acknowledgements.expect(file, 20)

    announcer.say({f"z{n}.ndjson": 9 for n in range(MAX_FILES + 1)} | {"one.ndjson": 20})

    assert acknowledgements.wait(ticket, None)
    assert acknowledgements.keep_up


def test_a_record_is_stored_once_the_worker_says_so(
    acknowledgements: Acknowledgements, announcer: Announcer, file: SpoolFile
) -> None:
    ticket = acknowledgements.expect(file, 20)

    announcer.say({"one.ndjson": 19, "other.ndjson": 50})
    too_few = acknowledgements.wait(ticket, None)
    announcer.say({"one.ndjson": 20})

    assert not too_few
    assert acknowledgements.wait(ticket, None)


def test_a_record_wakes_the_worker(
    acknowledgements: Acknowledgements, announcer: Announcer, file: SpoolFile
) -> None:
    began = time.monotonic()
    acknowledgements.expect(file, 20)

    announcer.wait(30)

    assert time.monotonic() - began < 30


def test_who_connects_later_is_told_what_was_said_before(
    folder: Path, announcer: Announcer, file: SpoolFile
) -> None:
    announcer.say({"one.ndjson": 20})
    late = Acknowledgements(folder / SOCKET)
    threading.Thread(target=late.listen, daemon=True).start()
    wait_until(lambda: announcer.wait(0.01) is None and late.keep_up)

    assert late.wait(late.expect(file, 20), None)


def test_a_record_in_a_file_that_was_shipped_and_removed_is_stored(
    acknowledgements: Acknowledgements, announcer: Announcer, file: SpoolFile
) -> None:
    ticket = acknowledgements.expect(file, 20)

    file.close()

    assert acknowledgements.wait(ticket, None)


def test_nothing_is_admitted_without_a_worker(folder: Path) -> None:
    acknowledgements = Acknowledgements(folder / SOCKET)
    spool = Spool(folder, 2**20, acknowledgements=acknowledgements)

    assert not spool.has_room


def test_nothing_is_admitted_while_a_record_waits_for_long(
    folder: Path, acknowledgements: Acknowledgements, announcer: Announcer
) -> None:
    spool = Spool(folder, 2**20, acknowledgements=acknowledgements)
    had_room = spool.has_room
    with pytest.raises(SpoolUnavailable):
        spool.append(b"{}")
    (path,) = folder.glob("*.ndjson")

    assert had_room
    assert not spool.has_room
    announcer.say({path.name: path.stat().st_size})
    wait_until(lambda: spool.has_room)


def test_nothing_is_admitted_after_the_worker_is_gone(
    folder: Path, acknowledgements: Acknowledgements, announcer: Announcer
) -> None:
    spool = Spool(folder, 2**20, acknowledgements=acknowledgements)

    announcer.close()

    wait_until(lambda: not spool.has_room)


@pytest.mark.django_db
@pytest.mark.parametrize("name", [SOCKET, LOCK])
def test_a_worker_whose_socket_or_lock_was_removed_makes_them_again(
    folder: Path, name: str
) -> None:
    with closing(Shipper(folder, is_announced=True)) as shipper:
        shipper.ship()
        (folder / name).unlink()

        shipper.ship()

        acknowledgements = Acknowledgements(folder / SOCKET)
        threading.Thread(target=acknowledgements.listen, daemon=True).start()
        wait_until(lambda: acknowledgements.keep_up)
    assert (folder / LOCK).exists()


@pytest.mark.django_db
def test_a_worker_that_could_not_make_its_socket_tries_again(folder: Path) -> None:
    with closing(Shipper(folder, is_announced=True)) as shipper:
        (folder / SOCKET).mkdir()
        with pytest.raises(OSError, match="directory"):
            shipper.ship()
        (folder / SOCKET).rmdir()

        shipper.ship()

        assert (folder / SOCKET).is_socket()
