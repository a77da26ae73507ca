"""Starts programs, restarts one that dies, and stops all together.

The kernel ends the children of a parent that is killed.
"""

import ctypes
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import partial

logger = logging.getLogger(__name__)

PR_SET_PDEATHSIG = 1
ORPHANED = 71
# Loaded at import: nothing may be loaded between fork and exec.
_libc = ctypes.CDLL(None)
STOP_SECONDS = 15.0
FIRST_PAUSE = 0.2
MAX_PAUSE = 3.0
STEADY_SECONDS = 30.0


def die_with_parent(parent: int) -> None:
    """Have the kernel end this process when ``parent`` dies, or end it if it is dead (Linux)."""
    if sys.platform == "linux":
        _libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(ORPHANED)


def stop_event() -> threading.Event:
    """Return an event that SIGINT and SIGTERM set."""
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    return stopping


class Child:
    """A program to keep running."""

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._pause = FIRST_PAUSE
        self._due_at = 0.0

    def ensure_running(self) -> None:
        """Start the program if it is not running, after a delay that grows with each death."""
        now = time.monotonic()
        if self._process is not None and self._process.poll() is not None:
            logger.warning("%s ended with code %s", self.name, self._process.returncode)
            was_steady = now - self._started_at > STEADY_SECONDS
            self._pause = FIRST_PAUSE if was_steady else min(self._pause * 2, MAX_PAUSE)
            self._process, self._due_at = None, now + self._pause
        if self._process is None and now >= self._due_at:
            # A new session, so that Ctrl-C reaches the supervisor alone. ``preexec_fn`` makes
            # one system call and takes no lock, so it is safe with threads.
            self._process = subprocess.Popen(  # noqa: S603 - the commands are our own
                self._command,
                preexec_fn=partial(die_with_parent, os.getpid()),  # noqa: PLW1509
                start_new_session=True,
            )
            self._started_at = now

    def stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()

    def wait(self, ends_at: float) -> None:
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, ends_at - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def supervise(commands: Mapping[str, Sequence[str]]) -> None:
    """Keep ``commands`` (name: argv) running until SIGINT or SIGTERM, then stop them.

    SIGHUP is ignored here and in the programs: closing the terminal stops nothing.
    """
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    stopping = stop_event()
    children = [Child(name, command) for name, command in commands.items()]
    try:
        while not stopping.wait(0.1):
            for child in children:
                child.ensure_running()
    finally:
        for child in children:
            child.stop()
        ends_at = time.monotonic() + STOP_SECONDS
        for child in children:
            child.wait(ends_at)
