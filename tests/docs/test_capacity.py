"""What docs/scaling.md computes: machines from measured costs, and its tables from both."""

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.capacity import model, tables
from benchmarks.capacity.model import MEASURED, Costs, Machine

MACHINE = Machine(cores=8, utilisation=0.5, disk_bytes=100e6, network_bytes=1e9)
COSTS = Costs(
    web_cpu=900,
    worker_cpu=100,
    query_cpu=200,
    log_cpu=150,
    deletion_cpu=50,
    redis_cpu=80,
    redis_busy_cpu=50,
    deletion_time=20,
    rows=1,
    kept_bytes=1_000,
    host_bytes=500,
    wal_bytes=2_000,
    http_bytes=1_000,
    postgres_bytes=3_000,
    redis_bytes=300,
)


def first(**changes: float) -> str:
    return model.ceilings(replace(COSTS, **changes), MACHINE)[0].name


def test_known_costs_give_known_machines() -> None:
    plan = model.plan(COSTS, 10_000, MACHINE)

    # 10 cores of 8 x 0.5 a host; 4 cores at 0.5; half a core of Redis at 0.5.
    assert (plan.web_cores, plan.worker_cores, plan.hosts) == (9, 1, 3)
    assert (plan.postgres_cores, plan.postgres_machine_cores) == (4, 8)
    assert (plan.redis_cores, plan.redis_servers) == (0.5, 1)
    assert plan.written_bytes == 30e6
    assert plan.kept_bytes_a_day == 864e9
    assert plan.rows_a_day == 864e6
    assert plan.connections == 3 * 8 * 5


def test_twice_the_rate_takes_twice_of_everything() -> None:
    once, twice = (model.plan(COSTS, rate, MACHINE) for rate in (10_000, 20_000))

    for name in (
        "web_cores", "worker_cores", "postgres_cores", "redis_cores", "written_bytes",
        "postgres_network_bytes", "redis_network_bytes", "kept_bytes_a_day", "rows_a_day",
        "postgres_machine_cores",
    ):  # fmt: skip
        assert getattr(twice, name) == 2 * getattr(once, name), name


def test_a_small_rate_takes_a_machine_of_each_and_fills_none() -> None:
    plan = model.plan(COSTS, 1, MACHINE)

    assert (plan.hosts, plan.redis_servers, plan.postgres_machine_cores) == (1, 1, 1)
    assert plan.full == ()


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({}, "PostgreSQL's cores"),
        ({"redis_busy_cpu": 51}, "Redis' thread"),
        ({"wal_bytes": 4_001}, "PostgreSQL's disk"),
        ({"postgres_bytes": 50_001}, "PostgreSQL's network"),
        ({"redis_bytes": 50_001}, "Redis' network"),
        ({"deletion_time": 101}, "retention's thread"),
    ],
)
def test_what_costs_most_of_what_there_is_is_full_first(
    changes: dict[str, float], name: str
) -> None:
    # 400 µs of 8 cores, 50 of Redis, 100 of retention, and 5,000 bytes for the disk fill at once.
    assert first(**{"redis_busy_cpu": 49, "deletion_time": 99, **changes}) == name


def test_what_is_full_is_told_in_the_order_in_which_it_fills() -> None:
    rates = {ceiling.name: ceiling.rate for ceiling in model.ceilings(COSTS, MACHINE)}

    full = model.plan(COSTS, 20_000, MACHINE).full

    assert rates["PostgreSQL's cores"] == rates["Redis' thread"] == 10_000
    assert [ceiling.name for ceiling in full[2:]] == ["PostgreSQL's disk"]
    assert model.plan(COSTS, 10_000, MACHINE).full == ()


def test_a_host_carries_no_more_than_its_worker_ships() -> None:
    quick = replace(COSTS, web_cpu=100, worker_cpu=500)

    assert model.host_rate(quick, MACHINE) == 1_000
    assert model.host_rate(quick, replace(MACHINE, cores=64)) == 1_000


def test_a_redis_whose_network_is_full_is_a_cluster_too() -> None:
    assert model.plan(replace(COSTS, redis_bytes=200_000), 10_000, MACHINE).redis_servers == 4


# Of one server the wait is u / (1 - u); of two that are half busy, a third (Erlang's C).
@pytest.mark.parametrize(
    ("utilisation", "servers", "wait"), [(0.5, 1, 1), (0.9, 1, 9), (0.5, 2, 1 / 3)]
)
def test_waiting_is_as_queueing_theory_has_it(
    utilisation: float, servers: int, wait: float
) -> None:
    assert model.waiting(utilisation, servers) == pytest.approx(wait)


def test_the_tables_of_the_document_are_computed_from_the_measured_costs() -> None:
    document = tables.DOCUMENT.read_text()

    assert document.count("<!-- capacity: ") == len(tables.TABLES)
    assert tables.replaced(document, MEASURED) == document, (
        "docs/scaling.md is stale. Run python -m benchmarks capacity --write"
    )


def test_other_costs_make_other_tables(tmp_path: Path) -> None:
    other = tmp_path / "costs.json"
    other.write_text(MEASURED.read_text().replace('"web_cpu": ', '"web_cpu": 1'))

    assert tables.replaced(tables.DOCUMENT.read_text(), other) != tables.DOCUMENT.read_text()
