"""How long pages take, in-process, through the whole middleware stack."""

import os
import statistics
import time
from collections.abc import Mapping

from django.test import Client

ROUNDS = max(1, int(os.environ.get("BENCH_ROUNDS", "30")) // 6)


def print_medians(client: Client, pages: Mapping[str, str]) -> None:
    """Print the median milliseconds of each page, and what its first call took."""
    for name, path in pages.items():
        took = []
        for _ in range(ROUNDS):
            began = time.perf_counter()
            response = client.get(path)
            took.append((time.perf_counter() - began) * 1000)
            if response.status_code != 200:
                raise SystemExit(f"{path} answered {response.status_code}")
        print(f"{name:26} {statistics.median(took):7.0f} ms  (first {took[0]:.0f})", flush=True)
