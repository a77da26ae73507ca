"""What processes have used so far, by Linux's own counts in ``/proc``."""

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

TICK = 1e6 / os.sysconf("SC_CLK_TCK")
# Fields of /proc/<pid>/stat after the name: those of the process, and of children it waited for.
OWN, CHILDREN = slice(11, 13), slice(13, 15)


class Used(NamedTuple):
    """Microseconds of a core, and bytes that were handed to a disk."""

    cpu: float = 0.0
    written: float = 0.0


def of_process(pid: int, *, with_ended: bool = False) -> Used:
    """Return what a process has used; ``with_ended`` counts the children that it waited for."""
    with suppress(FileNotFoundError, ProcessLookupError):
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
        ticks = sum(map(int, fields[OWN])) + with_ended * sum(map(int, fields[CHILDREN]))
        # A child's bytes are added to those of the parent that waits for it.
        lines = Path(f"/proc/{pid}/io").read_text().splitlines()
        counts = dict(line.split(": ") for line in lines)
        return Used(ticks * TICK, int(counts["write_bytes"]))
    return Used()


def of(pids: Iterable[int]) -> Used:
    """Return what processes have used together."""
    return _sum(map(of_process, pids))


def of_family(pid: int) -> Used:
    """Return what a process, its children and those that ended have used."""
    return _sum([of_process(pid, with_ended=True), *map(of_process, children(pid))])


def children(pid: int) -> list[int]:
    """Return a process's children."""
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return list(map(int, text.split()))


def local_ports(pids: Iterable[int]) -> set[int]:
    """Return the ports of this machine from which processes are connected."""
    sockets = set()
    for pid in pids:
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):
                sockets.add(str(descriptor.readlink()))
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {int(row[1].rpartition(":")[2], 16) for row in rows if f"socket:[{row[9]}]" in sockets}


def _sum(parts: Iterable[Used]) -> Used:
    listed = list(parts)
    return Used(sum(part.cpu for part in listed), sum(part.written for part in listed))
