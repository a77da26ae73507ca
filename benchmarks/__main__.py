"""``make bench``: what the product costs, measured here and now, in one run.

``--tiny`` runs the sections at a size that says nothing of the cost, and whether they run:
what is missing then fails the run, as a section that fails always does.
"""

import argparse
import os
import platform
import shutil
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console

from benchmarks.capacity import tables
from benchmarks.capacity.model import MEASURED
from tests.support.servers import Missing, Postgres, Redis, running

SECTIONS = {
    "guard": "The same view, in-process",
    "http": "The same view over HTTP (wrk)",
    "decisions": "Decisions for other services, in-process and over HTTP (wrk)",
    "limiter": "The rate limiter alone, and in Redis Cluster",
    "clients": "What the clients' question adds to a request of another service",
    "logs": "The request log: shipping, and pages over many rows",
    "telemetry": "Telemetry: batches, and pages over many events",
    "jobs": "Trivial jobs",
    "engines": "Jobs under kill -9, beside Procrastinate and Celery",
    "keys": "Authentication by number of keys stored",
    "metrics": "Metrics: counting, and a scrape with many keys",
    "memory": "Start, first requests and memory of make run",
    "costs": "What one request costs each process, disk and network (wrk)",
    "capacity": "The machines that many requests need",
}
MODULES = {"costs": "benchmarks.capacity.costs"}
PROGRAMS = {"http": "wrk", "decisions": "wrk", "costs": "wrk"}
# From costs that were measured before.
COMPUTED = "capacity"
TINY = {
    "BENCH_ROUNDS": "1",
    "BENCH_SECONDS": "1",
    "BENCH_DAYS": "2",
    "BENCH_SHIPPED": "2000",
    "BENCH_LOG_ROWS": "2000",
    "BENCH_LOG_KEYS": "100",
    "BENCH_BATCHES": "1",
    "BENCH_EVENTS": "2000",
    "BENCH_JOBS": "20",
    "BENCH_KILLS": "1",
    "BENCH_STEPS": "5",
    "BENCH_STUCK_SECONDS": "3",
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
    """Run a section on a storage pair, in a data folder of its own; end the run if it fails."""
    console.rule(f"{SECTIONS[section]}: {pair}", align="left")
    with TemporaryDirectory(prefix="latchkey-bench-") as folder:
        done = subprocess.run(
            [sys.executable, "-m", MODULES.get(section, f"benchmarks.{section}")],
            env=os.environ | {"LATCHKEY_VAR": folder, "PYTHONWARNINGS": "ignore"} | environment,
            check=False,
        )
    if done.returncode:
        raise SystemExit(f"{section} failed on {pair}. Its output is above.")


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks")
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--tiny", action="store_true", help="see that the sections run")
    parser.add_argument("--json", type=Path, help="write what costs measures to this file too")
    parser.add_argument("--costs", type=Path, default=MEASURED, help="what capacity reads")
    parser.add_argument("--write", action="store_true", help="have capacity write docs/scaling.md")
    given = parser.parse_args()
    if unknown := set(given.sections) - set(SECTIONS):
        parser.error(f"there is no section {', '.join(unknown)}. Choose from those of --help.")
    return given


def leave_out(missing: str, *, is_tiny: bool) -> None:
    """Say that a program is missing; end a tiny run for it."""
    told = f"{missing} is not installed, so not every section can run. Install it."
    if is_tiny:
        raise SystemExit(told)
    console.print(told)


def measure(sections: list[str], *, is_tiny: bool) -> None:
    """Run sections on both storage pairs."""
    with ExitStack() as stack:
        servers = None
        try:
            servers = (
                stack.enter_context(running(Postgres())),
                stack.enter_context(running(Redis())),
            )
        except Missing as missing:
            leave_out(str(missing), is_tiny=is_tiny)
        for section in sections:
            program = PROGRAMS.get(section)
            if program and shutil.which(program) is None:
                leave_out(program, is_tiny=is_tiny)
                continue
            run(section, "SQLite with a counter file", {"DATABASE_URL": "", "REDIS_URL": ""})
            if servers:
                postgres, counters = servers
                # Emptied after each section: what one leaves must not slow the next.
                with postgres.database() as url:
                    addresses = {"DATABASE_URL": url, "REDIS_URL": counters.url}
                    run(section, "PostgreSQL with Redis", addresses)
                counters.empty()


def main() -> None:
    """Run the sections named on the command line, or all of them."""
    given = options()
    sections = given.sections or list(SECTIONS)
    console.print(machine())
    if given.tiny:
        os.environ.update(TINY)
    os.environ["BENCH_MACHINE"] = f"{machine()}, load {os.getloadavg()[0]:.1f} before"
    if given.json:
        os.environ["BENCH_JSON"] = str(given.json.resolve())
    if measured := [section for section in sections if section != COMPUTED]:
        measure(measured, is_tiny=given.tiny)
    if COMPUTED in sections:
        console.rule(SECTIONS[COMPUTED], align="left")
        print(tables.text(given.costs))
        if given.write:
            tables.write(given.costs)


if __name__ == "__main__":
    main()
