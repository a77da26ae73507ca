"""The machines for a rate of requests, computed from what one request costs.

Costs are assumed to grow with the rate alone: a request costs at 100,000/s what it cost where it
was measured. Only PostgreSQL with Redis goes past one host, so only its costs are used.
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

MEASURED = Path(__file__).with_name("measured.json")
RATES = (1_000, 10_000, 100_000)
DAY_SECONDS = 86_400
# The most that the pool of a web process holds with the default WEB_THREADS (config.databases).
WEB_CONNECTIONS = 5


@dataclass(frozen=True)
class Costs:
    """What one request costs: microseconds of a core, and bytes."""

    web_cpu: float
    worker_cpu: float
    # Of PostgreSQL: for the answer, for the log, and for the deletion of the log's rows later.
    query_cpu: float
    log_cpu: float
    deletion_cpu: float
    # Of Redis: measured, and when it is busy, where it wakes once for many requests.
    redis_cpu: float
    redis_busy_cpu: float
    # Microseconds that retention takes, which deletes in one thread, with pauses for writers.
    deletion_time: float
    # Of the request log. What is kept is the growth of its tables with their indexes.
    rows: float
    kept_bytes: float
    # Written to the disk of the host, most of it the spool, and to PostgreSQL's.
    host_bytes: float
    wal_bytes: float
    # Payload of TCP in both directions, to callers and to each server.
    http_bytes: float
    postgres_bytes: float
    redis_bytes: float

    @property
    def postgres_cpu(self) -> float:
        """Return PostgreSQL's microseconds, those of the log included."""
        return self.query_cpu + self.log_cpu + self.deletion_cpu

    @property
    def written_bytes(self) -> float:
        """Return what PostgreSQL writes: its WAL, and each page of the tables once."""
        return self.wal_bytes + self.kept_bytes


@dataclass(frozen=True)
class Machine:
    """A machine of any role, and how much of it is planned for."""

    cores: int = 8
    utilisation: float = 0.6
    disk_bytes: float = 250e6
    network_bytes: float = 10e9 / 8


class Ceiling(NamedTuple):
    """The rate that a part which all hosts share carries."""

    name: str
    rate: float


@dataclass(frozen=True)
class Plan:
    """What a rate needs."""

    web_cores: float
    worker_cores: float
    postgres_cores: float
    redis_cores: float
    hosts: int
    redis_servers: int
    postgres_machine_cores: int
    connections: int
    written_bytes: float
    postgres_network_bytes: float
    redis_network_bytes: float
    kept_bytes_a_day: float
    rows_a_day: float
    full: tuple[Ceiling, ...]


def ceilings(costs: Costs, machine: Machine) -> list[Ceiling]:
    """Return what one primary and one Redis carry, the least first; hosts are added at will."""
    share = machine.utilisation
    limits = (
        ("Redis' thread", share * 1e6, costs.redis_busy_cpu),
        ("PostgreSQL's cores", share * machine.cores * 1e6, costs.postgres_cpu),
        ("PostgreSQL's disk", share * machine.disk_bytes, costs.written_bytes),
        ("PostgreSQL's network", share * machine.network_bytes, costs.postgres_bytes),
        ("Redis' network", share * machine.network_bytes, costs.redis_bytes),
        # No request waits for it, so it may be busy all the time.
        ("retention's thread", 1e6, costs.deletion_time),
    )
    found = [Ceiling(name, _rate(there, each)) for name, there, each in limits]
    return sorted(found, key=lambda ceiling: ceiling.rate)


def host_rate(costs: Costs, machine: Machine) -> float:
    """Return what one host of web processes and a worker carries.

    A worker ships with one thread, so it is full with one core, however many the host has.
    """
    sent = costs.http_bytes + costs.postgres_bytes + costs.redis_bytes
    rates = (
        _rate(machine.cores * 1e6, costs.web_cpu + costs.worker_cpu),
        _rate(1e6, costs.worker_cpu),
        _rate(machine.network_bytes, sent),
    )
    return min(rates) * machine.utilisation


def plan(costs: Costs, rate: float, machine: Machine) -> Plan:
    """Return what ``rate`` requests a second need, all day long."""
    hosts = _whole(rate / host_rate(costs, machine))
    web, postgres, redis = (
        rate * each / 1e6 for each in (costs.web_cpu, costs.postgres_cpu, costs.redis_busy_cpu)
    )
    redis_network = rate * costs.redis_bytes / machine.network_bytes
    return Plan(
        web_cores=web,
        worker_cores=rate * costs.worker_cpu / 1e6,
        postgres_cores=postgres,
        redis_cores=redis,
        hosts=hosts,
        redis_servers=_whole(max(redis, redis_network) / machine.utilisation),
        postgres_machine_cores=_whole(postgres / machine.utilisation),
        connections=hosts * machine.cores * WEB_CONNECTIONS,
        written_bytes=rate * costs.written_bytes,
        postgres_network_bytes=rate * costs.postgres_bytes,
        redis_network_bytes=rate * costs.redis_bytes,
        kept_bytes_a_day=rate * costs.kept_bytes * DAY_SECONDS,
        rows_a_day=rate * costs.rows * DAY_SECONDS,
        full=tuple(ceiling for ceiling in ceilings(costs, machine) if ceiling.rate < rate),
    )


def _rate(there: float, each: float) -> float:
    return there / each if each else math.inf


def _whole(number: float) -> int:
    """Return how many it takes, at least one; what is a whole number but for rounding stays it."""
    return max(1, math.ceil(round(number, 6)))


def waiting(utilisation: float, servers: int) -> float:
    """Return the mean wait before service in service times, by Erlang's C formula (M/M/c)."""
    offered = utilisation * servers
    blocked = 1.0
    for number in range(1, servers + 1):
        blocked = offered * blocked / (number + offered * blocked)
    queued = blocked / (1 - utilisation * (1 - blocked))
    return queued / (servers * (1 - utilisation))
