"""Several hosts on one machine: each with an address, a data folder and a clock of its own."""

import os
import signal
import socket
import subprocess
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path
from types import TracebackType

from tests.support.product import ROOT, Latchkey, copy_prepared_folder
from tests.support.proxy import TRUSTING
from tests.support.servers import Postgres, Redis, Server, Standby, listens, running, wait_until
from tests.support.services import available, program

ADDRESSES = ("127.0.0.2", "127.0.0.3")
NAME = "keys.example.com"
# How far the second host's clock is ahead.
CLOCK_SECONDS = 3
LENIENT = {"AUTH_FAILURE_LIMIT": "1000000/min", **TRUSTING}


class Balancer(Server):
    """HAProxy as ``deploy/haproxy`` has it, without TLS, before running hosts."""

    def __init__(self, hosts: list[Latchkey]) -> None:
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}"
        self.hosts = hosts
        self.socket = self.folder / "admin.sock"

    def start(self) -> None:
        """Write the configuration, with other addresses, and serve."""
        written = (ROOT / "deploy/haproxy/latchkey.cfg").read_text()
        replaced = {
            "/run/haproxy/admin.sock": str(self.socket),
            ":443 ssl crt /etc/haproxy/latchkey.pem alpn h2,http/1.1": f"127.0.0.1:{self.port}",
            "X-Forwarded-Proto https": "X-Forwarded-Proto http",
        }
        for number, host in enumerate(self.hosts, 1):
            replaced[f"10.0.0.1{number}:8000"] = f"{host.environment['HOST']}:{host.port}"
        for ours, theirs in replaced.items():
            assert ours in written
            written = written.replace(ours, theirs)
        path = self.folder / "haproxy.cfg"
        path.write_text(written)
        self.process = subprocess.Popen(
            [program("HAProxy"), "-f", path],
            stdout=subprocess.DEVNULL, stderr=(self.folder / "log").open("wb"),
        )  # fmt: skip
        wait_until(lambda: listens(self.port) and self.socket.exists())
        wait_until(lambda: all(self.is_up(number) for number in range(len(self.hosts))))

    def tell(self, command: str) -> str:
        """Send a command to the socket of administrators; return what it answers."""
        with socket.socket(socket.AF_UNIX) as admin:
            admin.connect(str(self.socket))
            admin.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: admin.recv(65_536), b"")).decode()

    def is_up(self, number: int) -> bool:
        """Say whether a host is sent requests."""
        return self._facts(number)["status"] == "UP"

    def drain(self, number: int) -> None:
        """Send a host no more requests, and wait for the answers to those that it has."""
        self.tell(f"set server hosts/host{number + 1} state drain")
        wait_until(lambda: self._facts(number)["scur"] == "0")

    def restore(self, number: int) -> None:
        """Send a host requests again, once it is ready."""
        self.tell(f"set server hosts/host{number + 1} state ready")
        wait_until(lambda: self.is_up(number))

    def _facts(self, number: int) -> dict[str, str]:
        names, *rows = self.tell("show stat").lstrip("# ").splitlines()
        for row in rows:
            facts = dict(zip(names.split(","), row.split(","), strict=False))
            if facts.get("svname") == f"host{number + 1}":
                return facts
        raise AssertionError("HAProxy knows no such host")


class Hosts:
    """Two hosts of web and worker, a balancer, PostgreSQL with a standby, and Redis.

    Both name both servers of PostgreSQL. The second host's clock is ahead. Settings that not all
    share are in ``own``, by the number of the host.
    """

    def __init__(
        self, *, is_synchronous: bool = True, own: dict[int, dict[str, str]] | None = None,
        **variables: str,
    ) -> None:  # fmt: skip
        self._stack = ExitStack()
        self._is_synchronous = is_synchronous
        self._variables = {**LENIENT, "ALLOWED_HOSTS": ",".join([NAME, *ADDRESSES]), **variables}
        self._own = own or {}

    def __enter__(self) -> "Hosts":
        with ExitStack() as stack:
            self._start(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _start(self, stack: ExitStack) -> None:
        self.primary = stack.enter_context(running(available(Postgres)))
        self.redis = stack.enter_context(running(available(Redis)))
        self.standby = stack.enter_context(running(Standby(self.primary)))
        self.database = (
            f"postgres://latchkey@127.0.0.1:{self.primary.port},127.0.0.1:{self.standby.port}"
            "/postgres"
        )
        self.all = [
            Latchkey(
                database=self.database, redis=self.redis.url, address=address,
                **self._variables, **clock(CLOCK_SECONDS * number), **self._own.get(number, {}),
            )
            for number, address in enumerate(ADDRESSES)
        ]  # fmt: skip
        for host in self.all:
            stack.callback(host.remove)
            # A variable of the dynamic linker's is read when a process starts.
            host.is_forked = False
        self.one, self.two = self.all
        copy_prepared_folder(self.one.folder, self.primary.url)
        if self._is_synchronous:
            self.standby.have_commits_wait()
        secrets = {
            "SECRET_KEY": (self.one.folder / "secret_key").read_text().strip(),
            "API_KEY_PEPPERS": (self.one.folder / "peppers").read_text().strip(),
        }
        for host in self.all:
            host.environment |= secrets
            host.guarded = self.one.guarded
            host.serve()
        self.balancer = stack.enter_context(running(Balancer(self.all)))

    @property
    def urls(self) -> tuple[str, ...]:
        """Return the addresses of the hosts themselves."""
        return tuple(host.url for host in self.all)

    def is_ready(self) -> bool:
        """Say whether all hosts are."""
        return all(host.is_ready() for host in self.all)


def kill(host: Latchkey) -> None:
    """Kill all processes of a host at once, as a power cut does."""
    pids = host.processes("")
    # Stopped first: the children of one that dies are told to stop in order.
    for number in (signal.SIGSTOP, signal.SIGKILL):
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
    host.stop()


@cache
def _library() -> str:
    """Return what the dynamic linker loads to have a clock that is ahead."""
    program("faketime")
    (found,) = Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")
    return str(found)


def clock(seconds: int) -> dict[str, str]:
    """Return the variables that put a process's clock ahead, none for one that is right."""
    if not seconds:
        return {}
    return {
        "LD_PRELOAD": _library(),
        "PYTHONPATH": str(ROOT / "tests/support/clock"),
        "FAKETIME": f"+{seconds}s",
        # Waits are not of the clock's time.
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        "NO_FAKE_STAT": "1",
    }
