"""What one hit of the limiter takes, by where it counts.

Where Redis is used, also in a cluster of three primaries on this machine: by the product, and by
the same script through redis-py's own client of a cluster.
"""

import os
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from importlib.resources import files
from uuid import uuid4

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "benchmarks.settings"
django.setup()

# isort: split
from django.conf import settings
from redis.cluster import RedisCluster as ClusterClient

from apikeys.limiter import counters
from apikeys.limiter.redis import PREFIX, RedisCounters
from apikeys.limiter.store import MAX_BACKWARD, NEVER, SLOTS, Store, Window
from apikeys.limits import MAX_LIMIT, WINDOWS
from tests.support.redis_servers import RedisCluster
from tests.support.servers import running

ROUNDS = int(os.environ.get("BENCH_ROUNDS", "30"))
HITS = 300
SUBJECTS = [uuid4().hex for _ in range(20)]
LIMITS = tuple(Window(window.name, MAX_LIMIT, window.seconds) for window in WINDOWS)


def hitting(store: Store) -> Callable[[str], object]:
    """Return the hit of a store of ours."""
    return lambda subject: store.hit(subject, LIMITS)


def hitting_by_redis_py(cluster: RedisCluster) -> Callable[[str], object]:
    """Return the same script's call through redis-py's own client."""
    client = ClusterClient(host="127.0.0.1", port=cluster.servers[0].port)
    script = files("apikeys.limiter").joinpath("hit.lua").read_text("utf-8")
    digest = client.script_load(script)
    arguments = [1, 1, SLOTS, MAX_BACKWARD, NEVER]
    for window in LIMITS:
        arguments += (window.limit, window.seconds)
    return lambda subject: client.evalsha(digest, 1, PREFIX + subject, *arguments)


def measure(variants: dict[str, Callable[[str], object]]) -> dict[str, tuple[float, float]]:
    """Return the median microseconds of a hit, and of this process' CPU, by variant."""
    samples: dict[str, list[tuple[float, float]]] = {name: [] for name in variants}
    for _ in range(ROUNDS):
        for name, hit in variants.items():
            for subject in SUBJECTS:
                hit(subject)
            began, busy = time.perf_counter(), time.process_time()
            for number in range(HITS):
                hit(SUBJECTS[number % len(SUBJECTS)])
            seconds = time.perf_counter() - began, time.process_time() - busy
            samples[name].append((seconds[0] / HITS * 1e6, seconds[1] / HITS * 1e6))
    return {
        name: (
            statistics.median(wall for wall, _ in values),
            statistics.median(cpu for _, cpu in values),
        )
        for name, values in samples.items()
    }


def main() -> None:
    """Measure and print a table."""
    with ExitStack() as stack:
        variants = {"this pair": hitting(counters())}
        if settings.REDIS_URL:
            cluster = stack.enter_context(running(RedisCluster()))
            variants["a cluster"] = hitting(RedisCounters(cluster.url))
            variants["a cluster, by redis-py's client"] = hitting_by_redis_py(cluster)
        for name, (wall, cpu) in measure(variants).items():
            print(f"{name:32} {wall:5.0f} us a hit, {cpu:5.0f} us of them this process' CPU")


if __name__ == "__main__":
    main()
