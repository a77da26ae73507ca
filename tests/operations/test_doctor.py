"""The check-up finds what is planted, in time, and nothing on a good system."""

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg
import pytest
import redis as redis_client

from tests.operations.conftest import Place
from tests.support import small_disk
from tests.support.factories import record_line
from tests.support.product import PAIRS, ROOT, Latchkey, running_on
from tests.support.redis_servers import RedisCluster
from tests.support.servers import Postgres, Redis, free_port, running, wait_until
from tests.support.services import available

MAX_SECONDS = 10
LAST = "SELECT event_id FROM audit_seal ORDER BY sequence DESC LIMIT 1"
STRANGER = (
    "INSERT INTO audit_event SELECT 'f' || substr(id, 2), created_at, source, actor_name, address,"
    " action, object_type, object_id, object_label, environment, reason, changes, actor_id"
    " FROM audit_event LIMIT 1"
)
WRONG_PEPPERS = {"API_KEY_PEPPERS": f"1:{'ab' * 32}"}


def findings(product: Latchkey, **variables: str) -> dict[str, str]:
    """Return what the check-up says, by code."""
    return by_code(product.manage("doctor", "--json", **variables))


def by_code(done: subprocess.CompletedProcess[str]) -> dict[str, str]:
    said = json.loads(done.stdout)
    assert done.stderr == ""
    assert done.returncode == (3 if said["findings"] else 0)
    assert said["status"] == ("findings" if said["findings"] else "good")
    for finding in said["findings"]:
        assert finding["problem"].endswith(".")
        assert finding["remedy"].endswith(".")
    return {finding["code"]: finding["problem"] for finding in said["findings"]}


@pytest.fixture(scope="module")
def idle(place: Place) -> Latchkey:
    """An installation that nobody serves, so that one finding is always there."""
    return place("sqlite", is_filled=True)


@pytest.fixture(scope="module")
def on_postgres(place: Place) -> Latchkey:
    """The same on PostgreSQL, with files for its counters."""
    return place("postgres", is_filled=True)


@pytest.fixture
def planted(idle: Latchkey) -> Iterator[sqlite3.Connection]:
    """The database of the idle installation, put back afterwards."""
    path = idle.folder / "latchkey.sqlite3"
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = path.read_bytes()
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        yield database
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path.write_bytes(before)


@pytest.mark.parametrize("pair", PAIRS)
def test_nothing_is_found_on_a_good_system(pair: str) -> None:
    with running_on(pair) as product:
        done = product.manage("doctor")

    assert (done.returncode, done.stdout, done.stderr) == (0, "Nothing is wrong.\n", "")


@pytest.mark.parametrize(
    ("code", "variables"),
    [
        ("debug", {"DEBUG": "on"}),
        ("allowed-hosts", {"ALLOWED_HOSTS": "*", "HTTPS": "on", "TRUSTED_PROXIES": "127.0.0.1/32"}),
        ("allowed-hosts", {"HOST": "0.0.0.0"}),
        ("https", {"ALLOWED_HOSTS": "keys.example.com"}),
        ("trusted-proxies", {"CSRF_TRUSTED_ORIGINS": "https://keys.example.com"}),
        ("mail", {"ALERT_RECIPIENTS": "ops@example.com"}),
        ("peppers", WRONG_PEPPERS),
        ("peppers", {"API_KEY_PEPPERS": f"2:{'ab' * 32}"}),
    ],
)
def test_an_unsafe_setting_is_found(code: str, variables: dict[str, str], idle: Latchkey) -> None:
    assert set(findings(idle, **variables)) == {code, "worker"}


def test_a_package_of_another_version_is_found(idle: Latchkey, tmp_path: Path) -> None:
    metadata = tmp_path / "Django-5.2.1.dist-info" / "METADATA"
    metadata.parent.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: Django\nVersion: 5.2.1\n")

    found = by_code(idle.manage_alone("doctor", "--json", PYTHONPATH=str(tmp_path)))

    assert "and 5.2.1 is installed" in found["packages"]


def test_a_secret_that_others_could_read_is_found(idle: Latchkey) -> None:
    (idle.folder / "peppers").chmod(0o644)

    assert "peppers until now" in findings(idle, JOB_CONCURRENCY="1")["file-modes"]
    assert "file-modes" not in findings(idle, JOB_CONCURRENCY="1")


def test_a_database_that_others_may_read_is_found(idle: Latchkey) -> None:
    path = idle.folder / "latchkey.sqlite3"
    assert path.stat().st_mode & 0o077 == 0
    path.chmod(0o644)
    idle.folder.chmod(0o755)

    found = findings(idle)
    path.chmod(0o600)
    idle.folder.chmod(0o700)

    assert "latchkey.sqlite3" in found["file-modes"]


def test_a_worker_that_is_gone_is_found(idle: Latchkey) -> None:
    assert set(findings(idle)) == {"worker"}


def test_a_production_key_without_expiry_is_found(
    idle: Latchkey, planted: sqlite3.Connection
) -> None:
    idle.create_key("--expires", "90d")
    assert "keys-without-expiry" not in findings(idle)
    idle.create_key()

    assert findings(idle)["keys-without-expiry"] == "1 production key without expiry."


def test_a_migration_that_is_lacking_is_found(idle: Latchkey, planted: sqlite3.Connection) -> None:
    planted.execute("DELETE FROM django_migrations WHERE app = 'alerts' AND name LIKE '0002%'")

    assert "alerts.0002" in findings(idle)["migrations"]


@pytest.mark.parametrize(
    ("statement", "problem"),
    [
        ("UPDATE audit_event SET actor_name = 'x' WHERE id IN (LAST)", "was altered"),
        ("DELETE FROM audit_event WHERE id IN (LAST)", "was removed"),
        ("DELETE FROM audit_seal WHERE sequence = 3", "was removed"),
        (STRANGER, "was put in"),
    ],
)
def test_an_altered_end_of_the_audit_trail_is_found(
    statement: str, problem: str, idle: Latchkey, planted: sqlite3.Connection
) -> None:
    planted.execute(statement.replace("LAST", LAST))

    assert problem in findings(idle)["audit"]


def test_records_from_the_future_are_found(idle: Latchkey, planted: sqlite3.Connection) -> None:
    planted.execute(
        "UPDATE audit_event SET created_at = '2099-01-01 00:00:00'"
        " WHERE id = (SELECT max(id) FROM audit_event)"
    )

    assert "in the future" in findings(idle)["clock"]


def test_several_hosts_without_shared_counters_are_found(
    idle: Latchkey, planted: sqlite3.Connection
) -> None:
    for number in range(2):
        planted.execute(
            "INSERT INTO jobs_worker (id, host, pid, started_at, seen_at)"
            " VALUES (?, ?, 1, datetime('now'), datetime('now'))",
            (f"{number:032}", f"host{number}"),
        )

    assert "host0, host1" in findings(idle)["redis-missing"]


@pytest.fixture
def spool(idle: Latchkey) -> Iterator[Path]:
    """The spool, emptied afterwards."""
    folder = idle.folder / "spool"
    folder.mkdir(exist_ok=True)
    yield folder
    for path in folder.iterdir():
        path.unlink()


def test_records_that_wait_are_found(idle: Latchkey, spool: Path) -> None:
    an_hour_ago = (time.time_ns() // 1000) - 3_600_000_000
    (spool / "a.ndjson").write_bytes(record_line(at=an_hour_ago) + b"\n")

    assert "has waited for 3," in findings(idle)["spool-behind"]


def test_a_spool_that_is_nearly_full_is_found(idle: Latchkey, spool: Path) -> None:
    (spool / "a.ndjson").write_bytes(b"x" * 900_000)

    assert "spool-full" in findings(idle, LOG_SPOOL_BYTES="1048576")


def test_refused_records_are_found(idle: Latchkey, spool: Path) -> None:
    (spool / "rejected.txt").write_text("a record")

    assert "rejected.txt" in findings(idle)["spool-rejected"]


def test_a_disk_without_room_for_the_spool_is_found(idle: Latchkey, tmp_path: Path) -> None:
    environment = idle.environment | {"LATCHKEY_VAR": str(tmp_path / "var")}
    environment |= {"DATABASE_URL": f"sqlite:///{idle.folder / 'latchkey.sqlite3'}"}
    command = [sys.executable, "manage.py", "doctor", "--json"]

    done, _ = small_disk.run(
        command, tmp_path / "var", size="80m", environment=environment | WRONG_PEPPERS, folder=ROOT
    )

    codes = [finding["code"] for finding in json.loads(done.stdout)["findings"]]
    assert done.returncode == 3
    assert "disk" in codes


def test_a_clock_that_is_not_the_databases_is_found(
    on_postgres: Latchkey,
) -> None:
    url = on_postgres.environment["DATABASE_URL"]
    # The server's own clock is the machine's, so this database tells another time.
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA shifted")
        connection.execute(
            "CREATE FUNCTION shifted.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS"
            " $$ SELECT pg_catalog.clock_timestamp() - interval '90 seconds' $$"
        )
        name = url.rpartition("/")[2].encode()
        connection.execute(
            b"ALTER DATABASE " + name + b" SET search_path = shifted, pg_catalog, public"
        )

    found = findings(on_postgres)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(b"ALTER DATABASE " + name + b" RESET search_path")

    assert found["clock"] == "This host's clock is 90.0 s ahead of the database's."
    assert "clock" not in findings(on_postgres)


def test_a_transaction_that_somebody_left_open_is_found(on_postgres: Latchkey) -> None:
    with psycopg.connect(on_postgres.environment["DATABASE_URL"]) as connection:
        connection.execute("SELECT 1")
        pid = connection.info.backend_pid

        wait_until(lambda: "long-transaction" in findings(on_postgres), 30)

        assert f"process {pid}" in findings(on_postgres)["long-transaction"]
    assert "long-transaction" not in findings(on_postgres)


def test_a_database_that_only_reads_is_found(on_postgres: Latchkey) -> None:
    url = on_postgres.environment["DATABASE_URL"]
    name = url.rpartition("/")[2].encode()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(b"ALTER DATABASE " + name + b" SET default_transaction_read_only = on")

    found = findings(on_postgres)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SET default_transaction_read_only = off")
        connection.execute(b"ALTER DATABASE " + name + b" RESET default_transaction_read_only")

    assert "database-read-only" in found


def test_a_redis_that_evicts_counters_is_found(idle: Latchkey, redis: Redis) -> None:
    assert set(findings(idle, REDIS_URL=redis.url)) == {"worker"}
    with redis_client.Redis(port=redis.port) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")

        found = findings(idle, REDIS_URL=redis.url)

        client.config_set("maxmemory-policy", "noeviction")
    assert "Redis evicts by allkeys-lru" in found["redis-eviction"]


def test_each_primary_of_a_cluster_is_examined(idle: Latchkey, redis_cluster: RedisCluster) -> None:
    primary = redis_cluster.busiest()
    primary.ask("CONFIG", "SET", "maxmemory-policy", "allkeys-lru")

    try:
        found = findings(idle, REDIS_URL=redis_cluster.url)
    finally:
        primary.ask("CONFIG", "SET", "maxmemory-policy", "noeviction")

    assert set(found) == {"worker", "redis-eviction"}
    assert f"Redis at 127.0.0.1:{primary.port} evicts by allkeys-lru" in found["redis-eviction"]


def timed(product: Latchkey, **variables: str) -> dict[str, str]:
    """Return what is found, in time on a machine that does nothing else."""
    before = os.times()
    began = time.monotonic()
    found = by_code(product.manage_alone("doctor", "--json", **variables))
    # What the process computes is not waiting, and depends on who else does.
    computed = os.times().children_user - before.children_user
    assert time.monotonic() - began < MAX_SECONDS + 4 * computed
    return found


def test_dependencies_that_are_down_are_found_in_time(idle: Latchkey) -> None:
    found = timed(
        idle,
        DATABASE_URL=f"postgres://latchkey@127.0.0.1:{free_port()}/latchkey",
        REDIS_URL=f"redis://127.0.0.1:{free_port()}/0",
    )

    assert set(found) == {"database", "counters"}
    assert "The database cannot be used" in found["database"]


def test_dependencies_that_stand_still_are_found_in_time(idle: Latchkey) -> None:
    with running(available(Postgres)) as postgres, running(available(Redis)) as redis:
        postgres.freeze()
        redis.freeze()

        found = timed(idle, DATABASE_URL=postgres.url, REDIS_URL=redis.url)

    assert set(found) == {"database", "counters"}


def test_for_people_each_finding_is_a_line(idle: Latchkey) -> None:
    done = idle.manage("doctor", **WRONG_PEPPERS, DEBUG="on")

    codes = [line.split()[0] for line in done.stdout.splitlines()]
    assert done.returncode == 3
    assert codes == ["debug", "peppers", "worker"]


def test_a_request_log_that_somebody_else_owns_is_found(on_postgres: Latchkey) -> None:
    url = on_postgres.environment["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        name = url.rpartition("/")[2].encode()
        connection.execute(b"CREATE ROLE worker LOGIN IN ROLE pg_read_all_data")
        connection.execute(b"GRANT ALL ON DATABASE " + name + b" TO worker")

        found = findings(on_postgres, DATABASE_URL=url.replace("latchkey@", "worker@"))

        connection.execute(b"DROP OWNED BY worker")
        connection.execute(b"DROP ROLE worker")
    assert "user worker does not own logs_request" in found["log-owner"]
    assert "log-owner" not in findings(on_postgres)


def test_a_request_log_without_a_day_for_tomorrow_is_found(on_postgres: Latchkey) -> None:
    table = "logs_requestcontent"
    with psycopg.connect(on_postgres.environment["DATABASE_URL"], autocommit=True) as connection:
        later = connection.execute(
            "SELECT inhrelid::regclass::text, pg_get_expr(relpartbound, inhrelid) FROM pg_inherits"
            " JOIN pg_class ON oid = inhrelid WHERE inhparent = %s::regclass ORDER BY 2",
            [table],
        ).fetchall()[1:4]
        for name, _ in later:
            connection.execute(f"DROP TABLE {name}".encode())
        begin = later[0][1].partition(" TO ")[0]
        connection.execute(
            f"CREATE TABLE later PARTITION OF {table} {begin} TO (MAXVALUE)".encode()
        )

    found = findings(on_postgres)

    assert found["log-partitions"] == f"The table {table} has no partition for tomorrow."


def test_few_locks_for_many_partitions_are_found(on_postgres: Latchkey) -> None:
    url = on_postgres.environment["DATABASE_URL"]
    name = url.rpartition("/")[2].encode()
    with psycopg.connect(url, autocommit=True) as connection:
        # As with max_locks_per_transaction = 20 and max_connections = 20.
        connection.execute("CREATE SCHEMA small")
        connection.execute(
            "CREATE FUNCTION small.current_setting(text) RETURNS text LANGUAGE sql AS"
            " $$ SELECT '20' $$"
        )
        connection.execute(
            b"ALTER DATABASE " + name + b" SET search_path = small, pg_catalog, public"
        )

        found = findings(on_postgres)

        connection.execute(b"ALTER DATABASE " + name + b" RESET search_path")

    assert "PostgreSQL has room for 400 locks" in found["log-locks"]
    assert "log-locks" not in findings(on_postgres)
