"""Forks programs, restarts one that ends, and stops all together.

The process that forks has loaded the code, so that its children share it in memory and start at
once. It has one thread and no connection: what needs either runs in a child, ``apart`` or for good.
The kernel ends the children of a parent that is killed.
"""

import ctypes
import gc
import logging
import multiprocessing
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.context import ForkProcess

logger = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1
PR_SET_NAME = 15
ORPHANED = 71
_libc = ctypes.CDLL(None)
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOP_SECONDS = 15.0
# Of these, for those that others need until they have stopped.
LAST_SECONDS = 3.0
FIRST_PAUSE = 0.2
MAX_PAUSE = 3.0
STEADY_SECONDS = 30.0
TURN_SECONDS = 0.1


def die_with_parent(parent: int, number: int = signal.SIGTERM) -> None:
    """Have the kernel send a signal when ``parent`` dies, or end if it is dead (Linux)."""
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        os._exit(ORPHANED)


def name_process(name: str) -> None:
    """Show ``name`` in ``ps`` and ``top``, which keep 15 characters (Linux)."""
    if sys.platform == "linux":
        _libc.prctl(PR_SET_NAME, name.encode())


def stop_event() -> threading.Event:
    """Return an event that SIGINT and SIGTERM set."""
    stopping = threading.Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: stopping.set())
    return stopping


@contextmanager
def apart(run: Callable[[], object]) -> Iterator[None]:
    """Run ``run`` in a process of its own while the block runs; end this process if it fails.

    Only a command calls this: an error of ``run`` ends the child as it would end the command.
    """
    parent = os.getpid()
    child = os.fork()
    if not child:
        die_with_parent(parent)
        # A short life, in which nearly all that is made is needed to its end.
        gc.disable()
        run()
        sys.exit(0)
    yield
    _, status = os.waitpid(child, 0)
    if code := os.waitstatus_to_exitcode(status):
        sys.exit(code if code > 0 else 128 - code)


class Demand:
    """A pipe by which children ask their parent to start one more of what runs on demand."""

    def __init__(self) -> None:
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)

    def ask(self) -> None:
        with suppress(BlockingIOError):
            os.write(self._writer, b"1")

    def wait(self, seconds: float) -> bool:
        """Wait until somebody asks, or for so long; say whether somebody has."""
        ready, _, _ = select.select([self._reader], [], [], seconds)
        return bool(ready and os.read(self._reader, select.PIPE_BUF))


class Child:
    """A program to keep running, or to run when it is asked for."""

    def __init__(
        self, name: str, run: Callable[[], object], *, on_demand: bool, stops_last: bool
    ) -> None:
        self.name = name
        self.stops_last = stops_last
        self.on_demand = on_demand
        self._run = run
        self._process: ForkProcess | None = None
        self._started_at = 0.0
        self._pause = FIRST_PAUSE
        self._due_at = 0.0

    def start(self) -> bool:
        """Start the program if it does not run and is due; say whether it was started."""
        if self._process is not None or time.monotonic() < self._due_at:
            return False
        self._process = multiprocessing.get_context("fork").Process(
            target=self._main, args=(os.getpid(),), name=self.name
        )
        # Or a signal that comes before the child is ready would run the parent's handler there.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        self._started_at = time.monotonic()
        return True

    def reap(self) -> None:
        """See whether the program has ended; if it failed, the next start has to wait."""
        if self._process is None or self._process.exitcode is None:
            return
        code, self._process = self._process.exitcode, None
        if self.on_demand and not code:
            return
        logger.warning("%s ended with code %s", self.name, code)
        now = time.monotonic()
        was_steady = now - self._started_at > STEADY_SECONDS
        self._pause = FIRST_PAUSE if was_steady else min(self._pause * 2, MAX_PAUSE)
        self._due_at = now + self._pause

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()

    def wait(self, ends_at: float) -> None:
        if self._process is None:
            return
        self._process.join(max(0.0, ends_at - time.monotonic()))
        if self._process.exitcode is None:
            self._process.kill()
            self._process.join()

    def _main(self, parent: int) -> None:
        # A new session, so that Ctrl-C reaches the supervisor alone.
        os.setsid()
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)
        die_with_parent(parent)
        name_process(f"latchkey-{self.name}")
        try:
            self._run()
        except Exception:
            logger.exception("%s failed", self.name)
            sys.exit(1)


class Family:
    """The programs of one supervisor."""

    def __init__(self) -> None:
        self.demand = Demand()
        self._children: list[Child] = []

    def add(
        self,
        name: str,
        run: Callable[[], object],
        *,
        on_demand: bool = False,
        stops_last: bool = False,
    ) -> None:
        """Keep ``run`` running, or start it whenever ``demand`` is asked."""
        child = Child(name, run, on_demand=on_demand, stops_last=stops_last)
        self._children.append(child)

    def supervise(self, each_turn: Callable[[], object] = lambda: None) -> None:
        """Run until SIGINT or SIGTERM, then stop the programs.

        SIGHUP is ignored here and in the programs: closing the terminal stops nothing.
        """
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        stopping = stop_event()
        # The collector would write to memory that is shared as long as nobody does.
        gc.collect()
        gc.freeze()
        is_asked = False
        try:
            while not stopping.is_set():
                for child in self._children:
                    child.reap()
                    if child.on_demand and not is_asked:
                        continue
                    if child.start() and child.on_demand:
                        is_asked = False
                each_turn()
                is_asked = self.demand.wait(TURN_SECONDS)
        finally:
            ends_at = time.monotonic() + STOP_SECONDS
            self._stop(ends_at - LAST_SECONDS, are_last=False)
            self._stop(ends_at, are_last=True)

    def _stop(self, ends_at: float, *, are_last: bool) -> None:
        children = [child for child in self._children if child.stops_last is are_last]
        for child in children:
            child.stop()
        for child in children:
            child.wait(ends_at)
