"""Commands of ``manage.py``, each in a fork of one process that has loaded the product.

Starting Python and loading the product takes most commands ten times as long as their own work.
A fork has the arguments, the standard streams and the exit code of a process of its own.
"""

import faulthandler
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from contextlib import suppress
from pathlib import Path
from typing import IO

import django
from django.core.checks import run_checks
from django.db import connections

import manage

ROOT = Path(__file__).resolve().parent.parent.parent
MAX_MESSAGE = 1 << 16


class Commands:
    """Runs commands with one environment; ends with its owner."""

    def __init__(self, environment: dict[str, str]) -> None:
        # A message is one request; its end is the owner's.
        self._requests, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.support.commands"],
                cwd=ROOT, env=environment, stdin=theirs.fileno(), start_new_session=True,
            )  # fmt: skip

    def run(self, *arguments: str, timeout: float) -> subprocess.CompletedProcess[str]:
        """Run one to its end, as ``subprocess.run`` does; who waits too long must stop them all."""
        answer, theirs = socket.socketpair()
        with answer, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            descriptors = [out.fileno(), err.fileno(), theirs.fileno()]
            socket.send_fds(self._requests, [json.dumps(arguments).encode()], descriptors)
            theirs.close()
            answer.settimeout(timeout)
            try:
                code = answer.recv(16)
            except TimeoutError:
                # Each process of the command writes where it stands, and dies.
                os.killpg(self._process.pid, signal.SIGABRT)
                with suppress(TimeoutError):
                    answer.recv(16)
                raise subprocess.TimeoutExpired(
                    arguments, timeout, _text(out), _text(err)
                ) from None
            assert code, "the command was killed"
            return subprocess.CompletedProcess(arguments, int(code), _text(out), _text(err))

    def stop(self) -> None:
        """Stop, and any command with it."""
        self._requests.close()
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def main() -> None:
    """Load the product and answer requests on standard input until their sender is gone."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    django.setup()
    # Reads all that a command reads before it begins.
    run_checks()
    connections.close_all()
    with socket.socket(fileno=os.dup(0)) as requests:
        while True:
            message, descriptors, _, _ = socket.recv_fds(requests, MAX_MESSAGE, 3)
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


def _answer(arguments: list[str], out: int, err: int, answer: int) -> None:
    """Run a command in a child; tell its exit code and end."""
    child = os.fork()
    if child == 0:
        nothing = os.open(os.devnull, os.O_RDONLY)
        for ours, theirs in ((nothing, 0), (out, 1), (err, 2)):
            os.dup2(ours, theirs)
        for descriptor in (nothing, out, err, answer):
            os.close(descriptor)
        faulthandler.enable()
        code = _run(arguments)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.write(answer, str(code).encode())
    os._exit(0)


def _run(arguments: list[str]) -> int:
    sys.argv = ["manage.py", *arguments]
    try:
        return manage.main()
    except SystemExit as end:
        if isinstance(end.code, str):
            sys.stderr.write(f"{end.code}\n")
            return 1
        return end.code or 0
    except Exception:  # noqa: BLE001 - a process ends so, whatever it is
        traceback.print_exc()
        return 1


if __name__ == "__main__":
    main()
