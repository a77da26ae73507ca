"""``LOG_DURABILITY=store``: an answer leaves once its record is in the log store.

A worker that ships a spool listens on a socket in its folder. Web processes tell it by a byte that
there is a record; it tells them how far each file is stored, once that is committed. So requests
that come together share a transaction, none waits for the worker's next poll, and each side sees
at once that the other is gone.
"""

import logging
import selectors
import socket
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

from logs.capture.spool_file import SpoolFile

logger = logging.getLogger(__name__)

SPOOL, STORE = "spool", "store"
SOCKET = "worker.sock"
# What the system takes as a socket's address (sun_path), on Linux and macOS.
MAX_PATH = 100
# An answer leaves by then or is a 503: half a second less than what is promised.
ANSWER_SECONDS = 1.5
MIN_WAIT_SECONDS = 0.5
# From then on requests are refused before they have an effect.
MAX_LAG_SECONDS = 0.5
CONNECT_SECONDS = 0.05
LOOK_SECONDS = 0.25
RECEIVED_BYTES = 65_536
# Files whose end is known; a rotated one that is shipped is closed, and asked for no more.
MAX_FILES, KEPT_FILES = 1000, 500


class Ticket(NamedTuple):
    """A record that waits to be stored: its file, where it ends in it, and since when it waits."""

    file: SpoolFile
    end: int
    since: float


class Acknowledgements:
    """A web process's end: what the worker says is stored."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._changed = threading.Condition()
        self._offsets: dict[str, int] = {}
        self._unstored: deque[Ticket] = deque()
        # The files that this process has written to.
        self._own: dict[str, SpoolFile] = {}
        self._worker: socket.socket | None = None

    @property
    def keep_up(self) -> bool:
        """Whether a worker is there, and no record has waited for long."""
        if self._worker is None:
            return False
        try:
            oldest = self._unstored[0]
        except IndexError:
            return True
        return monotonic() - oldest.since < MAX_LAG_SECONDS

    def expect(self, file: SpoolFile, end: int) -> Ticket:
        """Have the worker store a record that was just written, and what is before it."""
        ticket = Ticket(file, end, monotonic())
        self._own[file.path.name] = file
        self._unstored.append(ticket)
        worker = self._worker
        if worker is not None:
            # Where there is no room for a byte, there are others that the worker has not read.
            with suppress(OSError):
                worker.send(b"1", socket.MSG_DONTWAIT)
        return ticket

    def wait(self, ticket: Ticket, arrived_at: float | None) -> bool:
        """Wait until a record is stored; False if it is not by the time the answer must leave."""
        now = monotonic()
        ends_at = max(now + MIN_WAIT_SECONDS, (arrived_at or now) + ANSWER_SECONDS)
        with self._changed:
            return self._changed.wait_for(lambda: self._is_stored(ticket), ends_at - now)

    def listen(self) -> None:
        """Take what the worker says, for as long as the process runs."""
        while True:
            try:
                self._listen()
            except OSError:
                sleep(CONNECT_SECONDS)
            except Exception:
                logger.exception("what the worker has stored")
                sleep(CONNECT_SECONDS)

    def _listen(self) -> None:
        with socket.socket(socket.AF_UNIX) as worker:
            worker.connect(str(self._path))
            worker.settimeout(LOOK_SECONDS)
            self._worker = worker
            try:
                rest = b""
                while True:
                    try:
                        received = worker.recv(RECEIVED_BYTES)
                    except TimeoutError:
                        # A file may have been closed, as one that is shipped and removed is.
                        self._note([])
                        continue
                    if not received:
                        break
                    *lines, rest = (rest + received).split(b"\n")
                    self._note(lines)
            finally:
                self._worker = None
        logger.error("the worker is gone, and requests are refused until it is back")

    def _note(self, lines: list[bytes]) -> None:
        with self._changed:
            for line in lines:
                name, offset = line.decode().rsplit(" ", 1)
                self._offsets[name] = int(offset)
            if len(self._offsets) > MAX_FILES:
                self._forget_old()
            while self._unstored and self._is_stored(self._unstored[0]):
                self._unstored.popleft()
            self._changed.notify_all()

    def _forget_old(self) -> None:
        """Forget the files of other processes but for the newest, which may be ours soon."""
        for name in [name for name, file in self._own.items() if file.is_closed]:
            del self._own[name]
        for name in sorted(self._offsets)[:-KEPT_FILES]:
            if name not in self._own:
                del self._offsets[name]

    def _is_stored(self, ticket: Ticket) -> bool:
        file = ticket.file
        return self._offsets.get(file.path.name, 0) >= ticket.end or file.is_closed


class Announcer:
    """The worker's end: says what is stored, and hears of records."""

    def __init__(self, path: Path) -> None:
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        try:
            self._listener.bind(str(path))
            path.chmod(0o600)
            self._listener.listen()
        except OSError:
            self._listener.close()
            raise
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._processes: list[socket.socket] = []
        self._said: dict[str, int] = {}

    def wait(self, seconds: float) -> None:
        """Wait until a web process has a record, at most for so long."""
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._listener:
                self._accept()
            else:
                self._hear(key.fileobj)  # type: ignore[arg-type]

    def say(self, offsets: Mapping[str, int]) -> None:
        """Say how far files are stored, where that is more than was said."""
        news = {name: end for name, end in offsets.items() if self._said.get(name) != end}
        self._said = dict(offsets)
        if news:
            for process in list(self._processes):
                self._send(process, news)

    def close(self) -> None:
        for process in [*self._processes, self._listener]:
            process.close()
        self._selector.close()

    def _accept(self) -> None:
        with suppress(OSError):
            process, _ = self._listener.accept()
            process.setblocking(False)
            self._selector.register(process, selectors.EVENT_READ)
            self._processes.append(process)
            self._send(process, self._said)

    def _hear(self, process: socket.socket) -> None:
        try:
            is_alive = bool(process.recv(RECEIVED_BYTES))
        except BlockingIOError:
            return
        except OSError:
            is_alive = False
        if not is_alive:
            self._leave(process)

    def _send(self, process: socket.socket, offsets: Mapping[str, int]) -> None:
        text = "".join(f"{name} {end}\n" for name, end in offsets.items()).encode()
        try:
            is_sent = process.send(text) == len(text)
        except OSError:
            is_sent = False
        if not is_sent:
            # It does not read. It connects again if it goes on, and is told all.
            self._leave(process)

    def _leave(self, process: socket.socket) -> None:
        self._processes.remove(process)
        self._selector.unregister(process)
        process.close()
