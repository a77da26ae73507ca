"""Each web process on a core of its own.

Python runs one thread of a process at a time. Where its threads are spread over cores they spend
more on handing the interpreter's lock from one to the next than many requests take
(``docs/decisions.md`` has the figures); on one core they take turns at almost no cost.
"""

import fcntl
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from django.conf import settings


def settle(server: int) -> None:
    """Keep this process, one of those that ``server`` started, on the core with fewest of them.

    It is one that the server may use; of several not always the first, since another product may do
    the same. Where the system does not let it the process stays on all.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    with suppress(OSError), _turn():
        taken: Counter[int] = Counter()
        for process in _children(server):
            with suppress(OSError):
                theirs = os.sched_getaffinity(process)
                if len(theirs) == 1:
                    taken.update(theirs)
        cores = sorted(os.sched_getaffinity(server))
        first = server % len(cores)
        core = min(cores[first:] + cores[:first], key=taken.__getitem__)
        os.sched_setaffinity(0, {core})


@contextmanager
def _turn() -> Iterator[None]:
    """Let one process after the other choose, or two would choose the same."""
    folder = os.open(settings.LATCHKEY_VAR, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


def _children(process: int) -> list[int]:
    children: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{process}/task").iterdir():
            # A thread may end meanwhile; the children are listed with those that go on.
            with suppress(OSError):
                children += map(int, (task / "children").read_text().split())
    return children
