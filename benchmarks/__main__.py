"""``make bench``: what the product costs, measured here and now, in one run.

``--tiny`` runs the sections at a size that says nothing of the cost, and whether they run.
"""

import os
import platform
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from tests.servers import Missing, Postgres, Redis, running

SECTIONS = {
    "guard": "The same view, in-process",
    "http": "The same view over HTTP (wrk)",
    "logs": "The request log: shipping, and pages over many rows",
    "telemetry": "Telemetry: batches, and pages over many events",
    "jobs": "Trivial jobs",
    "keys": "Authentication by number of keys stored",
    "memory": "Memory of a web process",
}
TINY = {
    "BENCH_ROUNDS": "6",
    "BENCH_SHIPPED": "2000",
    "BENCH_LOG_ROWS": "5000",
    "BENCH_EVENTS": "5000",
    "BENCH_JOBS": "20",
    "BENCH_IDLE_SECONDS": "1",
    "BENCH_KEYS": "2000",
    "BENCH_REQUESTS": "50",
}
console = Console(highlight=False)


def machine() -> str:
    """Return what this ran on."""
    model = "unknown processor"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.partition(": ")[2]
            break
    return f"{model}, {os.cpu_count()} cores, Python {platform.python_version()}"


def run(section: str, pair: str, environment: dict[str, str]) -> None:
    """Run a section on a storage pair, in a data folder of its own."""
    console.rule(f"{SECTIONS[section]}: {pair}", align="left")
    with TemporaryDirectory(prefix="latchkey-bench-") as folder:
        subprocess.run(
            [sys.executable, "-W", "ignore", "-m", f"benchmarks.{section}"],
            env=os.environ | {"LATCHKEY_VAR": folder, "DATABASE_URL": "", "REDIS_URL": ""}
            | environment,
            check=True,
        )  # fmt: skip


def main() -> None:
    """Run the sections named on the command line, or all of them, on both storage pairs."""
    console.print(machine())
    sections = sys.argv[1:]
    if sections[:1] == ["--tiny"]:
        sections = sections[1:]
        os.environ.update(TINY)
    for section in sections or SECTIONS:
        run(section, "SQLite with a counter file", {})
        try:
            with running(Postgres()) as postgres, running(Redis()) as redis:
                addresses = {"DATABASE_URL": postgres.url, "REDIS_URL": redis.url}
                run(section, "PostgreSQL with Redis", addresses)
        except Missing as program:
            console.print(f"{program} is not installed, so its pair was not measured.")


if __name__ == "__main__":
    main()
