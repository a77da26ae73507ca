"""How much memory a web process takes once it has served for a while."""

import os
import sys
from pathlib import Path

from tests.support.load import Connection
from tests.support.product import LOTS, Latchkey
from tests.support.servers import running

REQUESTS = int(os.environ.get("BENCH_REQUESTS", "3000"))


def kilobytes(pid: int, name: str) -> int:
    """Return a figure of a process."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1])
    return 0


def main() -> None:
    """Serve, load, look."""
    product = Latchkey(database=os.environ["DATABASE_URL"], redis=os.environ["REDIS_URL"])
    with running(product):
        key = product.create_key("--permission", "customers:read", *LOTS)["key"]
        connection = Connection(product.url, key)
        for _ in range(REQUESTS):
            connection.send("GET", "/api/production/v1/customers")
            connection.send("GET", "/admin/login/")
        _, *web = sorted(product.processes("config.server.granian"))
        for pid in web:
            resident, own = kilobytes(pid, "Rss") // 1024, kilobytes(pid, "Pss") // 1024
            sys.stdout.write(f"web process: {resident} MB resident, {own} MB its own share\n")


if __name__ == "__main__":
    main()
