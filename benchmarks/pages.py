"""How long pages take, in-process, through the whole middleware stack.

Beside what a page took is the processor's part of it, the database's included: on a machine that
is busy with other things the one says little, and the other stays.
"""

import os
import statistics
import time
from collections.abc import Mapping
from pathlib import Path

from django.db import connection
from django.test import Client

ROUNDS = max(1, int(os.environ.get("BENCH_ROUNDS", "30")) // 6)


def print_medians(
    client: Client, pages: Mapping[str, str], limit: int = 300, server: int | None = None
) -> None:
    """Print the median milliseconds of each page; mark what is above the limit.

    ``server`` is the process of another server that is asked, and used by nobody else.
    """
    for name, path in pages.items():
        took, used = [], []
        for _ in range(ROUNDS):
            used_before = _processor_seconds(server)
            began = time.perf_counter()
            response = client.get(path)
            took.append((time.perf_counter() - began) * 1000)
            used.append((_processor_seconds(server) - used_before) * 1000)
            if response.status_code != 200:
                raise SystemExit(f"{path} answered {response.status_code}")
        median = statistics.median(took)
        mark = f"  above {limit} ms" if median > limit else ""
        print(
            f"{name:34} {median:7.0f} ms  {statistics.median(used):5.0f} ms processor"
            f"  (first {took[0]:.0f}){mark}",
            flush=True,
        )


def _processor_seconds(server: int | None) -> float:
    """Return what this process and the server's processes for its connections used."""
    seconds = time.process_time()
    if server is not None:
        # In ticks, of the process with all its threads.
        fields = Path(f"/proc/{server}/stat").read_text().rpartition(")")[2].split()
        seconds += (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    if connection.vendor != "postgresql":
        return seconds
    with connection.cursor() as cursor:
        cursor.execute("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        pids = [pid for (pid,) in cursor.fetchall()]
    used = 0
    for pid in pids:
        path = Path(f"/proc/{pid}/schedstat")
        # One that is gone is a parallel worker's.
        used += int(path.read_text().split()[0]) if path.exists() else 0
    return seconds + used / 1e9
