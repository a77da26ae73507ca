"""The same views over HTTP: Granian with one process, loaded by wrk."""

import os
import re
import statistics
import subprocess
import sys

from benchmarks.guard import Variant, prepare
from tests.support.product import ROOT
from tests.support.servers import free_port, listens, wait_until

ROUNDS = max(1, int(os.environ.get("BENCH_ROUNDS", "30")) // 6)
SECONDS = int(os.environ.get("BENCH_SECONDS", "3"))


def measure(variant: Variant, port: int) -> float:
    """Return requests per second."""
    name = variant.header.removeprefix("HTTP_").replace("_", "-")
    url = f"http://127.0.0.1:{port}{variant.path}?{variant.query}"
    command = ["wrk", "-t1", "-c8", f"-d{SECONDS}s", "-H", f"{name}: {variant.credential}", url]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    if "Non-2xx" in done.stdout or "Socket errors" in done.stdout:
        raise SystemExit(done.stdout)
    found = re.search(r"Requests/sec:\s+([\d.]+)", done.stdout)
    assert found
    return float(found[1])


def main() -> None:
    """Serve the views in turn; print the medians."""
    variants = prepare()
    port = free_port()
    environment = os.environ | {
        "PORT": str(port),
        "WEB_CONCURRENCY": "1",
        "DJANGO_SETTINGS_MODULE": "benchmarks.settings",
    }
    server = subprocess.Popen(
        [sys.executable, "-m", "config.server.granian"], cwd=ROOT, env=environment
    )
    try:
        wait_until(lambda: listens(port))
        samples: dict[str, list[float]] = {name: [] for name in variants}
        for _ in range(ROUNDS):
            for name, variant in variants.items():
                samples[name].append(measure(variant, port))
    finally:
        server.terminate()
        server.wait()
    figures = {name: statistics.median(values) for name, values in samples.items()}
    for name, rate in figures.items():
        times = rate / figures[variants[name].compared_with]
        sys.stdout.write(f"{name:14} {rate:7.0f} /s {times:5.2f} x\n")


if __name__ == "__main__":
    main()
