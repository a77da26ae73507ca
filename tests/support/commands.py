"""Commands of ``manage.py``, each in a fork of a process that has loaded the product.

Starting Python and loading the product takes most commands ten times as long as their own work.
A fork has the arguments, the standard streams and the exit code of a process of its own. What
has loaded the product with one environment is itself a fork, of a process that has loaded the
libraries; there is one of it for a process of the suite.
"""

import atexit
import faulthandler
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO, Any, NoReturn

import django
from django.core.checks import run_checks
from django.db import connections

import manage

ROOT = Path(__file__).resolve().parent.parent.parent
MAX_MESSAGE = 1 << 16
# What takes long to load and reads no setting of Django's.
LIBRARIES = (
    "cryptography.x509", "django.contrib.admin.utils", "django.core.handlers.wsgi",
    "django.core.management", "django.db.backends.postgresql.base",
    "django.db.backends.sqlite3.base", "django.db.migrations.autodetector", "django.db.models",
    "django.db.models.sql.compiler", "django.forms", "django.template.defaulttags",
    "django.views.debug", "django.views.generic", "fido2.server", "granian.server", "jwcrypto.jwk",
    "orjson", "psycopg_pool", "qrcode", "redis", "requests", "rest_framework.fields", "uvloop",
    "yaml",
)  # fmt: skip


class Command:
    """A command that runs, as ``subprocess.Popen`` has it."""

    def __init__(self, answer: socket.socket) -> None:
        self._answer = answer
        self.returncode: int | None = None
        self.pid = int(self._received(None))

    def poll(self) -> int | None:
        """Return its exit code, or None while it runs."""
        with suppress(TimeoutError, subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end and return its exit code, or raise ``subprocess.TimeoutExpired``."""
        if self.returncode is None:
            self.returncode = int(self._received(timeout))
            self._answer.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def _received(self, timeout: float | None) -> bytes:
        if not select.select([self._answer], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired("manage.py", timeout or 0)
        message = self._answer.recv(16)
        assert message, "what runs the command was killed"
        return message


class Commands:
    """Runs commands with one environment; ends with its owner."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.environment = environment.copy()
        # A message is one request; its end is the owner's.
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._pid = _loader().fork(environment, theirs)
        self._alive = os.pidfd_open(self._pid)

    def run(
        self, *arguments: str, timeout: float, lines: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run one that reads ``lines`` to its end, as ``subprocess.run`` does.

        Who waits too long must stop them all.
        """
        with _file(lines) as given, _file() as out, _file() as err:
            command = self._start(arguments, given, out, err, is_apart=False)
            try:
                code = command.wait(timeout)
            except subprocess.TimeoutExpired:
                # Each process of the command writes where it stands, and dies.
                os.killpg(self._pid, signal.SIGABRT)
                with suppress(subprocess.TimeoutExpired):
                    command.wait(timeout)
                raise subprocess.TimeoutExpired(
                    arguments, timeout, _text(out), _text(err)
                ) from None
            return subprocess.CompletedProcess(arguments, code, _text(out), _text(err))

    def start(self, *arguments: str, log: IO[bytes]) -> Command:
        """Start one that goes on after this has stopped."""
        with _file() as nothing:
            return self._start(arguments, nothing, log, log, is_apart=True)

    def _start(self, arguments: tuple[str, ...], *streams: IO[bytes], is_apart: bool) -> Command:
        answer, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        request = {"arguments": arguments, "is_apart": is_apart}
        descriptors = [*(stream.fileno() for stream in streams), theirs.fileno()]
        with theirs:
            socket.send_fds(self._requests, [json.dumps(request).encode()], descriptors)
        return Command(answer)

    def stop(self) -> None:
        """Stop, and any command of ``run`` with it."""
        self._requests.close()
        with suppress(ProcessLookupError):
            os.killpg(self._pid, signal.SIGKILL)
        select.select([self._alive], [], [])
        os.close(self._alive)


class _Loader:
    """The process that has loaded the libraries."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.commands"],
                cwd=ROOT, stdin=theirs.fileno(), start_new_session=True,
                env={"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/")},
            )  # fmt: skip
        atexit.register(self._stop)

    def fork(self, environment: dict[str, str], requests: socket.socket) -> int:
        """Have a fork load the product and run what comes by ``requests``; return its id."""
        message = json.dumps(environment).encode()
        # Each thread gets the answer to its own request.
        with self._lock:
            socket.send_fds(self._requests, [message], [requests.fileno()])
            return int(self._requests.recv(16))

    def _stop(self) -> None:
        self._requests.close()
        self._process.wait()


@cache
def _loader() -> _Loader:
    return _Loader()


def _file(text: str = "") -> IO[bytes]:
    file = tempfile.TemporaryFile()  # noqa: SIM115 - for the caller to close
    file.write(text.encode())
    file.seek(0)
    return file


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def main() -> None:
    """Load the libraries and fork until the sender of requests on standard input is gone."""
    for name in LIBRARIES:
        importlib.import_module(name)
    with socket.socket(fileno=os.dup(0)) as requests:
        while True:
            message, descriptors, _, _ = socket.recv_fds(requests, MAX_MESSAGE, 1)
            if not message:
                return
            child = os.fork()
            if child == 0:
                requests.close()
                os.setsid()
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                os.environ.clear()
                os.environ.update(json.loads(message))
                _ending(_run_all, descriptors[0])
            os.close(descriptors[0])
            requests.send(str(child).encode())
            _reap()


def _run_all(descriptor: int) -> None:
    """Load the product and answer requests until their sender is gone."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    # Reads all that a command reads before it begins.
    run_checks()
    connections.close_all()
    with socket.socket(fileno=descriptor) as requests:
        while True:
            message, descriptors, _, _ = socket.recv_fds(requests, MAX_MESSAGE, 4)
            if not message:
                return
            if os.fork() == 0:
                requests.close()
                _answer(json.loads(message), *descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
            _reap()


def _reap() -> None:
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _answer(request: dict[str, Any], *descriptors: int) -> NoReturn:
    """Run a command in a child; tell its id, and its exit code when it has ended."""
    if request["is_apart"]:
        os.setsid()
    *streams, answer = descriptors
    child = os.fork()
    if child == 0:
        for number, stream in enumerate(streams):
            os.dup2(stream, number)
        for descriptor in descriptors:
            os.close(descriptor)
        faulthandler.enable()
        _ending(_run, request["arguments"])
    os.write(answer, str(child).encode())
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    with suppress(BrokenPipeError):
        os.write(answer, str(code).encode())
    os._exit(0)


def _ending(run: Callable[[Any], int | None], argument: Any) -> NoReturn:
    """Run what this process is for, and end it as Python does."""
    code = 1
    try:
        code = run(argument) or 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else bool(end.code)
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
    except Exception:  # noqa: BLE001 - a process ends so, whatever it is
        traceback.print_exc()
    finally:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(code)


def _run(arguments: list[str]) -> int:
    sys.argv = ["manage.py", *arguments]
    return manage.main()


if __name__ == "__main__":
    main()
