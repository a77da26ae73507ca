"""Real servers for tests and benchmarks, each its own process on a free port in a new folder.

They can be stopped, frozen and killed without touching anything else on the machine.
"""

import contextlib
import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psycopg
import redis

from tests.support.commands import Command

# A machine may be busy with much else.
START_SECONDS = 90

S = TypeVar("S", bound="Server")


class Missing(Exception):
    """A server's program is not installed."""


# Below those of which the system gives one to each connection, between this and the start.
PORTS = range(10_000, 32_000)
_chance = secrets.SystemRandom()


def free_port() -> int:
    """Return a port nobody listens on."""
    while True:
        port = _chance.choice(PORTS)
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind(("127.0.0.1", port))
            return port


def wait_until(holds: Callable[[], bool], seconds: float = START_SECONDS) -> None:
    """Wait until ``holds`` returns True; raise ``TimeoutError`` if it does not in time."""
    ends_at = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > ends_at:
            raise TimeoutError(f"not so within {seconds} s")
        time.sleep(0.02)


def listens(port: int) -> bool:
    """Say whether something accepts connections on ``port``."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Server:
    """A process in a folder of its own."""

    program: str
    url: str

    def __init__(self) -> None:
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="latchkey-"))
        self.process: subprocess.Popen[bytes] | Command | None = None

    @classmethod
    def find(cls) -> str:
        """Return the program's path, or raise ``Missing``."""
        found = shutil.which(cls.program)
        if found is None:
            raise Missing(cls.program)
        return found

    def start(self) -> None:
        """Start it and wait until it answers."""
        raise NotImplementedError

    def stop(self, signal_number: int = signal.SIGTERM) -> None:
        """Stop it and wait until it is gone."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal_number)
            self.process.wait(START_SECONDS)
        self.process = None

    def freeze(self) -> None:
        """Have it accept connections and answer nothing."""
        # The parent before its children are listed, or it makes one that goes on.
        assert self.process is not None
        os.kill(self.process.pid, signal.SIGSTOP)
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        for pid in self.pids():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def pids(self) -> list[int]:
        """Return its processes."""
        assert self.process is not None
        pid = self.process.pid
        children = subprocess.run(
            ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
        )
        return [pid, *map(int, children.stdout.split())]

    def remove(self) -> None:
        """Stop it and delete its folder."""
        with contextlib.suppress(ProcessLookupError):
            if self.process is not None:
                self.thaw()
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Postgres(Server):
    """A PostgreSQL cluster with one superuser and trust authentication."""

    program = "postgres"

    @classmethod
    def find(cls) -> str:
        """Return the newest ``postgres`` in the path or where Debian puts it."""
        debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=_version)
        if debian:
            return str(debian[-1])
        return super().find()

    def __init__(self, *options: str) -> None:
        super().__init__()
        self.url = f"postgres://latchkey@127.0.0.1:{self.port}/postgres"
        self.options = options
        # PostgreSQL refuses to run as root.
        self._user = "postgres" if getpass.getuser() == "root" else None

    def start(self) -> None:
        """Start it, making the cluster the first time."""
        data = self.folder / "data"
        if not data.exists():
            if self._user:
                shutil.chown(self.folder, self._user)
            self.make_cluster(data)
        self.process = subprocess.Popen(
            [self.find(), "-D", data, "-p", str(self.port), "-c", "listen_addresses=127.0.0.1",
             "-c", f"unix_socket_directories={self.folder}", "-c", "max_connections=200",
             "-c", "max_wal_size=4GB", *self.options],
            user=self._user, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder,
        )  # fmt: skip
        wait_until(self._answers)

    def make_cluster(self, data: Path) -> None:
        """Make the data folder."""
        self._run_there(
            "initdb", "-D", str(data), "-U", "latchkey", "-A", "trust", "-E", "UTF8",
            "--locale=C.UTF-8", "--no-sync",
        )  # fmt: skip

    def ask(self, sql: str) -> list[Any]:
        """Return the rows that a statement answers, none for one that answers nothing."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(sql)
            return cursor.fetchall() if cursor.description else []

    def _run_there(self, program: str, *arguments: str) -> None:
        """Run a program of the same version as the server's user."""
        command = [Path(self.find()).with_name(program), *arguments]
        subprocess.run(
            command, check=True, user=self._user, stdout=subprocess.DEVNULL, cwd=self.folder
        )

    @classmethod
    def run(cls, program: str, *arguments: str) -> None:
        """Run a program of the same version to its end."""
        command = [Path(cls.find()).with_name(program), *arguments]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def new_database(self) -> str:
        """Make an empty database; return its address."""
        name = f"test{secrets.token_hex(4)}"
        address = f"host=127.0.0.1 port={self.port} user=latchkey dbname=postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self.url.replace("/postgres", f"/{name}")

    @contextlib.contextmanager
    def database(self) -> Iterator[str]:
        """Make an empty database for as long as the block lasts; yield its address."""
        url = self.new_database()
        yield url
        name = url.rpartition("/")[2]
        address = f"host=127.0.0.1 port={self.port} user=latchkey dbname=postgres"
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def stop(self, signal_number: int = signal.SIGINT) -> None:
        """Stop it at once: SIGINT is PostgreSQL's fast shutdown."""
        super().stop(signal_number)

    def remove(self) -> None:
        """Stop it without waiting for who may still want something, and delete its folder."""
        with contextlib.suppress(ProcessLookupError):
            if self.process is not None:
                self.thaw()
        super().stop(signal.SIGQUIT)
        super().remove()

    def _answers(self) -> bool:
        ready = Path(self.find()).with_name("pg_isready")
        command = [str(ready), "-h", "127.0.0.1", "-p", str(self.port), "-q"]
        return subprocess.run(command, check=False).returncode == 0


class Standby(Postgres):
    """A streaming standby of ``primary``, for which that waits once it is told to."""

    def __init__(self, primary: Postgres) -> None:
        super().__init__()
        self.primary = primary

    def make_cluster(self, data: Path) -> None:
        """Copy the primary's data folder, with how to follow it."""
        self._run_there(
            "pg_basebackup", "-D", str(data), "-d", self.primary.url, "--checkpoint=fast",
            "--write-recovery-conf", "--no-sync",
        )  # fmt: skip

    def have_commits_wait(self) -> None:
        """Have the primary acknowledge nothing that is not on this disk too."""
        self.primary.ask("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.primary.ask("SELECT pg_reload_conf()")
        states = "SELECT sync_state FROM pg_stat_replication"
        wait_until(lambda: self.primary.ask(states) == [("sync",)])

    def promote(self) -> None:
        """Make it the primary."""
        assert self.ask("SELECT pg_promote()") == [(True,)]


class Redis(Server):
    """A Redis server that keeps nothing on disk."""

    program = "redis-server"

    def __init__(self, *options: str) -> None:
        super().__init__()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.options = options

    def start(self) -> None:
        """Start it."""
        self.process = subprocess.Popen(self.command(), stdout=subprocess.DEVNULL)
        wait_until(lambda: listens(self.port))

    def command(self) -> list[str]:
        """Return what starts it."""
        return [
            self.find(), "--port", str(self.port), "--bind", "127.0.0.1", "--save", "",
            "--appendonly", "no", "--dir", str(self.folder), *self.options,
        ]  # fmt: skip

    def ask(self, *command: Any) -> Any:
        """Return its answer to a command."""
        with redis.Redis(port=self.port, decode_responses=True, socket_timeout=10) as client:
            return client.execute_command(*command)

    def empty(self) -> None:
        """Delete everything in it."""
        with redis.Redis(port=self.port) as client:
            client.flushall()


@contextlib.contextmanager
def running(server: S) -> Iterator[S]:
    """Run a server for as long as the block lasts."""
    try:
        server.start()
        yield server
    finally:
        server.remove()


def _version(path: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in path.parts[4].split(".") if part.isdigit())
