"""``python -m benchmarks.log_servers ROWS``: the request log on PostgreSQL, on disk, at a size.

A server of its own is filled without WAL and started again as it is by default, with a gigabyte of
buffers. Its data are deleted afterwards: 50,000,000 rows take 40 GB.
"""

import os
import subprocess
import sys
from tempfile import TemporaryDirectory

from tests.support.servers import Postgres, Redis, running

BUFFERS = ("-c", "shared_buffers=1GB")
FILLING = (
    *BUFFERS, "-c", "fsync=off", "-c", "wal_level=minimal", "-c", "max_wal_senders=0",
    "-c", "full_page_writes=off", "-c", "autovacuum=off",
)  # fmt: skip


def main() -> None:
    """Fill a server and measure on it."""
    rows = sys.argv[1]
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores before", flush=True)
    with (
        running(Postgres(*FILLING)) as postgres,
        running(Redis()) as redis,
        TemporaryDirectory() as folder,
    ):
        environment = os.environ | {
            "DATABASE_URL": postgres.url,
            "REDIS_URL": redis.url,
            "LATCHKEY_VAR": folder,
            "BENCH_LOG_ROWS": rows,
        }
        for phase in ("fill", "measure"):
            subprocess.run(
                [sys.executable, "-m", "benchmarks.logs", phase], env=environment, check=True
            )
            postgres.options = BUFFERS
            postgres.stop()
            postgres.start()
    print(f"load {os.getloadavg()[0]:.1f} after")


if __name__ == "__main__":
    main()
