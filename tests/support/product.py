"""The product itself, as an operator runs it: its own processes, data folder and port."""

import atexit
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import IO, Any

import httpx

from apikeys.limits import MAX_LIMIT, WINDOWS
from tests.support.commands import ROOT, Command, Commands
from tests.support.servers import Postgres, Redis, Server, running, wait_until
from tests.support.services import available

PASSWORD = "a password for the tests"
# Limits that no test reaches.
LOTS = tuple(f"--per-{window.name}={MAX_LIMIT}" for window in WINDOWS)
# What the product can store in: files alone, and PostgreSQL with Redis.
PAIRS = ("sqlite", "postgres")


class Latchkey(Server):
    """``manage.py serve`` on a free port."""

    program = sys.executable
    # Whether it is forked where the product is loaded: how long it takes to start, and what
    # memory it shares, are then not those of the product.
    is_forked = False

    def __init__(
        self, *, database: str = "", redis: str = "", address: str = "127.0.0.1", **variables: str
    ) -> None:
        super().__init__()
        self.url = f"http://{address}:{self.port}"
        self.environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ.get("HOME", "/"),
            "LATCHKEY_VAR": str(self.folder),
            "LATCHKEY_ADMIN_PASSWORD": PASSWORD,
            "DATABASE_URL": database,
            "REDIS_URL": redis,
            "HOST": address,
            "PORT": str(self.port),
            "WEB_CONCURRENCY": "2",
            # Tests of jobs ask for runners.
            "JOB_CONCURRENCY": "0",
            **variables,
        }
        self.log = self.folder / "serve.log"
        self.guarded: set[str] = set()
        self.commands: Commands | None = None

    def manage(
        self, *arguments: str, timeout: float = 180, lines: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command that reads ``lines`` to its end.

        With ``variables`` it is run in a process that has read those too.
        """
        if variables:
            commands = Commands(self.environment | variables)
            try:
                return commands.run(*arguments, timeout=timeout, lines=lines)
            finally:
                commands.stop()
        try:
            return self._loaded().run(*arguments, timeout=timeout, lines=lines)
        except subprocess.TimeoutExpired:
            self.stop_commands()
            raise

    def manage_alone(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a Python of its own, which reads variables of Python's too."""
        return subprocess.run(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.environment | variables,
            capture_output=True, text=True, timeout=180, check=False,
        )  # fmt: skip

    def start_command(self, *arguments: str, log: IO[bytes]) -> Command:
        """Start a command that goes on, in place of ``serve``."""
        self.process = command = self._loaded().start(*arguments, log=log)
        return command

    def _loaded(self) -> Commands:
        if self.commands is not None and self.commands.environment != self.environment:
            self.stop_commands()
        if self.commands is None:
            self.commands = Commands(self.environment)
        return self.commands

    def create_key(self, *arguments: str, environment: str = "production") -> Any:
        """Make a key; return what ``--json`` prints."""
        done = self.manage(
            "create_api_key", "Test", "--environment", environment, "--json", *arguments
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def guard(self, service: str, *rules: str) -> None:
        """Make a service, unless it was made."""
        if service not in self.guarded:
            done = self.manage("create_service", service, *(f"--rule={rule}" for rule in rules))
            assert done.returncode == 0, done.stderr
            self.guarded.add(service)

    def start(self) -> None:
        """Prepare the database and serve; return once the first answer has come."""
        copy_prepared_folder(self.folder, self.environment["DATABASE_URL"])
        self.serve()

    def prepare(self) -> None:
        """Prepare the data folder and the database."""
        prepared = self.manage("bootstrap")
        assert prepared.returncode == 0, prepared.stderr

    def remove(self) -> None:
        """Stop it with the process of its commands, and delete its folder."""
        super().remove()
        self.stop_commands()

    def stop_commands(self) -> None:
        """Stop the process of its commands; the next command starts another."""
        if self.commands is not None:
            self.commands.stop()
            self.commands = None

    def serve(self) -> None:
        """Serve what is prepared."""
        with self.log.open("ab") as log:
            if self.is_forked:
                self.process = self._loaded().start("serve", log=log)
            else:
                self.process = subprocess.Popen(
                    [sys.executable, "manage.py", "serve"],
                    cwd=ROOT, env=self.environment, stdout=log, stderr=log,
                )  # fmt: skip
        wait_until(self.is_ready)

    def is_ready(self) -> bool:
        """Say whether it answers that it is ready."""
        try:
            return httpx.get(self.url + "/readyz", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def caller(self, credential: str, **options: Any) -> httpx.Client:
        """Return an HTTP client that sends ``credential``."""
        headers = {"Authorization": f"Bearer {credential}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=10, **options)

    def visitor(self) -> httpx.Client:
        """Return an HTTP client that has logged in to the admin."""
        client = httpx.Client(base_url=self.url, timeout=10)
        client.get("/admin/login/")
        form = {"username": "admin", "password": PASSWORD}
        token = {"csrfmiddlewaretoken": client.cookies["csrftoken"]}
        assert client.post("/admin/login/?next=/admin/", data=form | token).status_code == 302
        return client

    def processes(self, part: str) -> list[int]:
        """Return the supervisor and those below it whose name or command line holds ``part``."""
        assert self.process is not None
        listed = subprocess.run(
            ["ps", "-eo", "pid=,ppid=,comm=,args="], capture_output=True, text=True, check=True
        )
        rows = [line.split(None, 2) for line in listed.stdout.splitlines()]
        family = {self.process.pid}
        for _ in range(4):
            family |= {int(pid) for pid, parent, _ in rows if int(parent) in family}
        return [int(pid) for pid, _, command in rows if int(pid) in family and part in command]


@cache
def _prepared_folder() -> Path:
    """Return a data folder that is prepared once: most of a first start is migrations."""
    return _prepare(Latchkey())


@cache
def _prepared_dump() -> tuple[Path, Path]:
    """Return such a folder without a database, and the SQL of its PostgreSQL database."""
    with running(available(Postgres)) as postgres:
        folder = _prepare(Latchkey(database=postgres.url))
        dump = folder.parent / f"{folder.name}.sql"
        atexit.register(dump.unlink)
        postgres.run("pg_dump", "--file", str(dump), postgres.url)
    return folder, dump


def _prepare(product: Latchkey) -> Path:
    atexit.register(product.remove)
    product.prepare()
    product.stop_commands()
    return product.folder


def copy_prepared_folder(target: Path, database: str = "") -> None:
    """Put into a data folder and an empty database what ``bootstrap`` puts there."""
    if not database:
        shutil.copytree(_prepared_folder(), target, dirs_exist_ok=True)
        return
    folder, dump = _prepared_dump()
    shutil.copytree(folder, target, dirs_exist_ok=True)
    Postgres.run("psql", "--quiet", "--set=ON_ERROR_STOP=1", "--file", str(dump), database)


@contextmanager
def running_on(pair: str, **variables: str) -> Iterator[Latchkey]:
    """Run the product on a storage pair that nothing else uses."""
    with ExitStack() as stack:
        where: dict[str, str] = {}
        if pair == "postgres":
            where = {
                "database": stack.enter_context(running(available(Postgres))).url,
                "redis": stack.enter_context(running(available(Redis))).url,
            }
        yield stack.enter_context(running(Latchkey(**where, **variables)))
