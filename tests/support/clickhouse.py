"""ClickHouse's engine as a server, and ``python -m tests.support.clickhouse COMMAND`` with one."""

import importlib.util
import json
import os
import subprocess
import sys
from typing import Any

import httpx

from tests.support.commands import ROOT
from tests.support.servers import Missing, Server, listens, running, wait_until


class ClickHouse(Server):
    """chDB behind ClickHouse's HTTP interface (``tests/support/chdb_server.py``)."""

    program = sys.executable

    def __init__(self, *, delay: float = 0) -> None:
        super().__init__()
        self.delay = delay
        self.url = f"clickhouse://latchkey:secret@127.0.0.1:{self.port}/default"

    @classmethod
    def find(cls) -> str:
        """Return the program's path, or raise ``Missing``."""
        for package in ("chdb", "clickhouse_connect"):
            if importlib.util.find_spec(package) is None:
                raise Missing(package)
        return cls.program

    def start(self) -> None:
        """Start it over the rows that it had."""
        arguments = (str(self.port), self.folder / "data", str(self.delay))
        self.process = subprocess.Popen(
            [self.program, "-m", "tests.support.chdb_server", *arguments], cwd=ROOT
        )
        wait_until(lambda: listens(self.port))

    def ask(self, statement: str) -> list[Any]:
        """Return the rows that answer a statement."""
        found = httpx.post(
            f"http://127.0.0.1:{self.port}", content=f"{statement} FORMAT JSONCompactEachRow",
            auth=("latchkey", "secret"), timeout=600,
        )  # fmt: skip
        assert found.status_code == 200, found.text
        return [json.loads(line) for line in found.text.splitlines()]

    def run(self, statement: str) -> None:
        """Run a statement that answers nothing."""
        found = httpx.post(
            f"http://127.0.0.1:{self.port}",
            content=statement,
            auth=("latchkey", "secret"),
            timeout=600,
        )
        assert found.status_code == 200, found.text


def main() -> int:
    """Run the command; return its exit code."""
    try:
        with running(ClickHouse()) as server:
            environment = os.environ | {"LOG_STORE_URL": server.url}
            return subprocess.run(sys.argv[1:], env=environment, check=False).returncode
    except Missing as package:
        sys.stderr.write(f"{package} is not installed. Install requirements-chdb.lock.\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
