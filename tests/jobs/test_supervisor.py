"""Nothing is left behind, also by a parent that dies before its child can say who it is."""

import os
import signal
import time
from pathlib import Path

import pytest

from jobs.worker.supervisor import die_with_parent
from tests.support.servers import wait_until


@pytest.mark.parametrize("dies_first", [True, False])
def test_a_child_ends_with_its_parent(tmp_path: Path, dies_first: bool) -> None:
    told, born = tmp_path / "told", tmp_path / "born"
    parent = os.fork()
    if not parent:
        mine = os.getpid()
        if not os.fork():
            if dies_first:
                wait_until(lambda: os.getppid() != mine, 10)
            told.write_text(str(os.getpid()))
            die_with_parent(mine)
            time.sleep(60)
            os._exit(0)
        born.touch()
        time.sleep(60)
        os._exit(0)
    wait_until(born.exists)
    if not dies_first:
        wait_until(lambda: told.exists() and bool(told.read_text()))
        time.sleep(0.2)

    os.kill(parent, signal.SIGKILL)
    os.waitpid(parent, 0)

    wait_until(lambda: told.exists() and bool(told.read_text()), 10)
    child = int(told.read_text())
    wait_until(lambda: is_over(child), 10)


def is_over(pid: int) -> bool:
    try:
        return "Z" in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
