"""The tables of ``docs/scaling.md`` on capacity, in Markdown.

A table stands there between ``<!-- capacity: name -->`` and ``<!-- end -->``.
"""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.capacity import model
from benchmarks.capacity.model import RATES, Costs, Machine

DOCUMENT = Path(__file__).resolve().parent.parent.parent / "docs" / "scaling.md"
TABLE = re.compile(r"(<!-- capacity: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
MACHINE = Machine()
# What a column's heading says of its storage pair.
PAIRS = {"postgres": "", "sqlite": ", SQLite"}
RETENTION_DAYS = 30
FIGURES = {
    "web_cpu": "web process, µs of a core",
    "worker_cpu": "worker, µs: shipping and deleting the record",
    "query_cpu": "PostgreSQL, µs: the answer's queries",
    "log_cpu": "PostgreSQL, µs: storing the record",
    "deletion_cpu": "PostgreSQL, µs: deleting it in the end",
    "redis_cpu": "Redis, µs: at the rate measured",
    "redis_busy_cpu": "Redis, µs: when it is busy",
    "deletion_time": "µs until retention has deleted it",
    "rows": "rows in the request log",
    "kept_bytes": "bytes kept of it, indexes included",
    "host_bytes": "bytes written by web process and worker",
    "wal_bytes": "bytes of PostgreSQL's WAL",
    "http_bytes": "bytes of HTTP",
    "postgres_bytes": "bytes to and from PostgreSQL",
    "redis_bytes": "bytes to and from Redis",
}
UTILISATIONS = (0.5, 0.6, 0.7, 0.8, 0.9)


def costs(measured: Any) -> str:
    """Return what was measured."""
    columns = [
        (kind, pair, each)
        for pair in PAIRS
        for kind, each in measured["pairs"].get(pair, {}).items()
    ]
    table = _table(
        ["a request costs", *(kind + PAIRS[pair] for kind, pair, _ in columns)],
        (
            [meaning, *(_number(each[name]) for _, _, each in columns)]
            for name, meaning in FIGURES.items()
        ),
    )
    where = f"{measured['machine']}; rounds: {measured['rounds']}"
    return f"{table}\nMeasured on {measured['on']} by `python -m benchmarks costs`, {where}.\n"


def ceilings(measured: Any) -> str:
    """Return the rates that one of each part carries; the least of the shared ones is bold."""
    kinds = _kinds(measured)
    rows = {
        "web process (hosts are added)": [
            MACHINE.utilisation * 1e6 / each.web_cpu for each in kinds.values()
        ],
        "host with its worker (hosts are added)": [
            model.host_rate(each, MACHINE) for each in kinds.values()
        ],
    }
    shared = [model.ceilings(each, MACHINE) for each in kinds.values()]
    for name in sorted(ceiling.name for ceiling in shared[0]):
        rows[name] = [dict(found)[name] for found in shared]
    least = [found[0].rate for found in shared]
    return _table(
        ["one carries, requests/s", *kinds],
        (
            [name, *(_marked(rate, lowest) for rate, lowest in zip(rates, least, strict=True))]
            for name, rates in rows.items()
        ),
    )


def machines(measured: Any) -> str:
    """Return the machines for each rate and kind."""
    head = [
        "requests/s", "of", "web cores", "worker cores", "hosts", "PostgreSQL cores",
        "its machine's", "connections", "Redis cores", "Redis primaries", "full, first to last",
    ]  # fmt: skip

    def row(rate: int, kind: str, each: Costs) -> list[str]:
        plan = model.plan(each, rate, MACHINE)
        full = ", ".join(ceiling.name for ceiling in plan.full) or "nothing"
        return [
            f"{rate:,}", kind, _number(plan.web_cores), _number(plan.worker_cores),
            f"{plan.hosts:,}", _number(plan.postgres_cores),
            f"{plan.postgres_machine_cores:,}", f"{plan.connections:,}",
            _number(plan.redis_cores), f"{plan.redis_servers:,}", full,
        ]  # fmt: skip

    return _table(head, (row(rate, *kind) for rate in RATES for kind in _kinds(measured).items()))


def storage(measured: Any) -> str:
    """Return disk and network for each rate and kind."""
    head = [
        "requests/s", "of", "PostgreSQL writes, MB/s", "network of PostgreSQL, Mbit/s",
        "network of Redis, Mbit/s", "a host writes, MB/s", "rows of the log a day", "GB a day",
        f"TB in {RETENTION_DAYS} days",
    ]  # fmt: skip

    def row(rate: int, kind: str, each: Costs) -> list[str]:
        plan = model.plan(each, rate, MACHINE)
        return [
            f"{rate:,}", kind, _number(plan.written_bytes / 1e6),
            _number(plan.postgres_network_bytes * 8 / 1e6),
            _number(plan.redis_network_bytes * 8 / 1e6),
            _number(rate * each.host_bytes / plan.hosts / 1e6),
            f"{plan.rows_a_day / 1e6:,.0f} million", _number(plan.kept_bytes_a_day / 1e9),
            _number(plan.kept_bytes_a_day * RETENTION_DAYS / 1e12),
        ]  # fmt: skip

    return _table(head, (row(rate, *kind) for rate in RATES for kind in _kinds(measured).items()))


def waiting(_measured: Any) -> str:
    """Return mean waits by utilisation, in service times."""
    return _table(
        ["a request waits, in service times", *(f"{share:.0%} busy" for share in UTILISATIONS)],
        (
            [name, *(f"{model.waiting(share, cores):.2f}" for share in UTILISATIONS)]
            for name, cores in (
                ("one thread or core", 1),
                (f"{MACHINE.cores} cores", MACHINE.cores),
            )
        ),
    )


TABLES: dict[str, Callable[[Any], str]] = {
    "costs": costs,
    "ceilings": ceilings,
    "machines": machines,
    "storage": storage,
    "waiting": waiting,
}


def text(path: Path) -> str:
    """Return all tables, from the costs in a file."""
    measured = json.loads(path.read_text())
    return "\n".join(make(measured) for make in TABLES.values())


def replaced(document: str, path: Path) -> str:
    """Return a document with its tables as the costs in a file have them."""
    measured = json.loads(path.read_text())
    return TABLE.sub(lambda table: table[1] + TABLES[table[2]](measured) + table[3], document)


def write(path: Path) -> None:
    """Write the tables of the document."""
    DOCUMENT.write_text(replaced(DOCUMENT.read_text(), path))


def _kinds(measured: Any) -> dict[str, Costs]:
    return {kind: Costs(**each) for kind, each in measured["pairs"]["postgres"].items()}


def _marked(rate: float, lowest: float) -> str:
    # Three digits: the costs are not known better.
    digits = float(f"{rate:.3g}")
    return f"**{digits:,.0f}**" if rate == lowest else f"{digits:,.0f}"


def _number(number: float) -> str:
    digits = 0 if number >= 10 or not number else 1 if number >= 1 else 2
    return f"{number:,.{digits}f}"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    lines.insert(1, ["---"] * len(lines[0]))
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
