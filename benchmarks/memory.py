"""What ``make run`` takes: its start, first requests, and memory, idle and after serving."""

import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from tests.support.load import Connection
from tests.support.product import LOTS, ROOT, Latchkey
from tests.support.servers import listens, running, wait_until

REQUESTS = int(os.environ.get("BENCH_REQUESTS", "3000"))
IDLE_SECONDS = int(os.environ.get("BENCH_IDLE_SECONDS", "15"))
PATHS = ("/api/production/v1/key", "/api/production/v1/customers?limit=5", "/admin/login/")
FIRST_OF = 100


class Run(Latchkey):
    """The product as ``make run`` starts it, with the runners that it has by default."""

    def __init__(self) -> None:
        super().__init__(
            database=os.environ["DATABASE_URL"],
            redis=os.environ["REDIS_URL"],
            JOB_CONCURRENCY="2",
        )

    def start(self) -> None:
        """Start it and print how long the first answer takes."""
        began = time.perf_counter()
        command = [sys.executable, "manage.py", "serve", "--bootstrap"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, cwd=ROOT, env=self.environment, stdout=log, stderr=log
            )
        wait_until(lambda: listens(self.port))
        Connection(self.url, "").send("GET", "/healthz")
        print(f"start to first answer {time.perf_counter() - began:6.2f} s")


def kilobytes(pid: int, name: str) -> int:
    """Return a figure of a process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


def print_memory(product: Latchkey, when: str) -> None:
    """Print how many processes there are, and what they share out between them (PSS)."""
    pids = product.processes("")
    shares = [kilobytes(pid, "Pss") / 1024 for pid in pids]
    web = [kilobytes(pid, "Pss") // 1024 for pid in product.processes("latchkey-web")]
    print(f"{when:12} {len(pids)} processes, {sum(shares):4.0f} MB; web processes {web} MB")


def main() -> None:
    """Start, start again, ask, load; print what each takes."""
    with running(Run()) as product:
        key = product.create_key("--permission", "customers:read", *LOTS)["key"]
        for path in PATHS:
            product.stop()
            product.start()
            connection = Connection(product.url, key)
            times = []
            for _ in range(FIRST_OF):
                began = time.perf_counter()
                connection.send("GET", path)
                times.append((time.perf_counter() - began) * 1e3)
            ratio = times[0] / statistics.median(times)
            print(f"first request {times[0]:6.1f} ms, {ratio:4.1f} times the median: {path}")
        time.sleep(IDLE_SECONDS)
        print_memory(product, "idle")
        for _ in range(REQUESTS):
            connection.send("GET", "/api/production/v1/customers")
            connection.send("GET", "/admin/login/")
        print_memory(product, "after load")


if __name__ == "__main__":
    main()
