"""A backup is whole or not there, whatever happens while it is made and however much it holds."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from database.refusals import Refused
from operations.backups.archive import Reader
from tests.operations.conftest import Place
from tests.operations.test_backups import contents, sql
from tests.support import small_disk
from tests.support.load import Answer, Connection, at_once
from tests.support.product import LOTS, PAIRS, ROOT, Latchkey, running_on
from tests.support.servers import wait_until

ROWS = 25_000
# 50 MB, which do not shrink.
TEXT = {
    "sqlite": "hex(randomblob(1000))",
    "postgres": "(SELECT string_agg(md5(random()::text || n || m), '') FROM"
    " generate_series(1, 62) AS parts (m))",
}
FILL = """
INSERT INTO customers_customer (id, environment, name, email, external_reference, status, metadata,
    created_at, updated_at)
SELECT {id}, 'production', 'Customer ' || n, '', 'many-' || n, 'active', {text},
    '2026-01-01 00:00:00', '2026-01-01 00:00:00'
FROM (WITH RECURSIVE numbers (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM numbers WHERE n < {rows})
    SELECT n FROM numbers) AS numbers
"""
ID = {"sqlite": "printf('%032x', n)", "postgres": "lpad(to_hex(n), 32, '0')::uuid"}
MAX_GROWTH_KB = 24 * 1024
WRITERS = 4
WRITES_PER_SECOND = 100


@pytest.fixture(scope="module", params=PAIRS)
def large(request: pytest.FixtureRequest, place: Place) -> Latchkey:
    """An installation of many rows."""
    product = place(request.param, is_filled=True)
    sql(product, FILL.format(id=ID[request.param], text=TEXT[request.param], rows=ROWS))
    return product


def start(product: Latchkey, *arguments: str) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "manage.py", *arguments], cwd=ROOT, env=product.environment,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip


def drafts(folder: Path) -> list[Path]:
    return list(folder.glob(".latchkey-*"))


def test_a_backup_that_is_killed_leaves_no_file_that_looks_whole(
    large: Latchkey, tmp_path: Path
) -> None:
    file = tmp_path / "backup"
    file.write_text("the one before")
    process = start(large, "backup", str(file))
    wait_until(lambda: any(draft.stat().st_size > 1_000_000 for draft in drafts(tmp_path)))

    process.send_signal(signal.SIGKILL)
    process.wait()

    assert file.read_text() == "the one before"
    (draft,) = drafts(tmp_path)
    with pytest.raises(Refused, match="is no backup, or not a whole one"):
        Reader(draft)

    assert large.manage("backup", str(file)).returncode == 0
    assert list(tmp_path.iterdir()) == [file]
    Reader(file).check()


def test_one_that_goes_on_is_not_taken_for_one_that_was_killed(
    large: Latchkey, tmp_path: Path
) -> None:
    process = start(large, "backup", str(tmp_path / "first"))
    wait_until(lambda: bool(drafts(tmp_path)))
    wait_until(lambda: drafts(tmp_path)[0].stat().st_size > 0)

    second = large.manage("backup", str(tmp_path / "second"))

    assert (second.returncode, process.wait()) == (0, 0)
    assert {path.name for path in tmp_path.iterdir()} == {"first", "second"}


def test_a_full_disk_is_named_and_leaves_nothing(large: Latchkey, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    command = [sys.executable, "manage.py", "backup", str(disk / "backup")]

    done, files = small_disk.run(
        command, disk, size="2m", environment=large.environment, folder=ROOT
    )

    assert done.returncode == 1
    assert "there is no room left on the device. Make some, or write elsewhere." in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert files == []


def peak(product: Latchkey, *arguments: str) -> int:
    """Run a command; return the kilobytes of memory that it took at most."""
    process = start(product, *arguments)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_maxrss


def test_memory_does_not_grow_with_the_rows(large: Latchkey, place: Place, tmp_path: Path) -> None:
    kind = "postgres" if large.environment["DATABASE_URL"] else "sqlite"
    small = place(kind, is_filled=True)
    backups, restores = [], []

    for product, name in ((small, "small"), (large, "large")):
        backups.append(peak(product, "backup", str(tmp_path / name)))
        restores.append(peak(place(kind, like=product), "restore", str(tmp_path / name)))

    assert (tmp_path / "large").stat().st_size > (tmp_path / "small").stat().st_size + 20_000_000
    assert backups[1] - backups[0] < MAX_GROWTH_KB
    assert restores[1] - restores[0] < MAX_GROWTH_KB


@pytest.mark.crash
@pytest.mark.parametrize("pair", PAIRS)
def test_a_backup_holds_one_moment_while_a_hundred_writes_a_second_go_on(
    pair: str, place: Place, tmp_path: Path
) -> None:
    file, ended = tmp_path / "backup", threading.Event()
    moments: list[float] = []
    with running_on(pair) as product:
        sql(product, FILL.format(id=ID[pair], text=TEXT[pair], rows=ROWS))
        key = product.create_key("--permission", "customers:write", *LOTS)["key"]

        def write(number: int) -> list[Answer]:
            caller = Connection(product.url, key)
            answers: list[Answer] = []
            while not ended.is_set():
                name = f'{{"name": "{number}-{len(answers)}"}}'.encode()
                path, kind = "/api/production/v1/customers", {"Content-Type": "application/json"}
                answers.append(caller.send("POST", path, name, **kind))
                taken = answers[-1].ended - answers[-1].began
                time.sleep(max(0, WRITERS / WRITES_PER_SECOND - taken))
            caller.close()
            return answers

        def back_up() -> None:
            time.sleep(1)
            moments.append(time.monotonic())
            done = product.manage("backup", str(file))
            moments.append(time.monotonic())
            time.sleep(0.5)
            ended.set()
            assert done.returncode == 0, done.stderr

        answers = at_once(WRITERS, write, back_up)
        restored = place(pair, like=product)
    done = restored.manage("restore", str(file), "--verify")
    names = {name for (name,) in sql(restored, "SELECT name FROM customers_customer")}

    assert done.returncode == 0, done.stderr
    assert {answer.status for answer in answers} == {201}
    began, finished = moments
    assert any(began < answer.began < finished for answer in answers)
    named = {json.loads(answer.body)["name"]: answer for answer in answers}
    assert {name for name, answer in named.items() if answer.ended < began} <= names
    assert not {name for name, answer in named.items() if answer.began > finished} & names
    # A customer and its event are of one transaction: both are there, or neither is.
    recorded = sql(
        restored, "SELECT object_label FROM audit_event WHERE object_type = 'customers.customer'"
        " AND source = 'api'",
    )  # fmt: skip
    assert {label for (label,) in recorded} == names & set(named)
    assert len(contents(file)["audit_event"]) == Reader(file).manifest["audit"]["sequence"]
