"""A log that is in use is divided by day: nothing is lost, whoever kills the migration and when."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.utils import timezone

from database.uuid7 import first_id_at
from tests.packaging.test_upgrades import (
    CREDENTIALS,
    NO_LIMITS,
    SETTINGS,
    code_of_1_0_0,  # noqa: F401 - a fixture
    on_database_of_1_0_0,
)
from tests.support.product import ROOT, Latchkey
from tests.support.servers import Postgres, wait_until

ROWS = 30_000
TABLES = ("logs_requestlog", "logs_requestcontent")
# A request a minute until now.
FILL = """
CREATE TEMPORARY TABLE made AS SELECT (lpad(to_hex((extract(epoch FROM now())::bigint - n * 60)
    * 1000), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8000' || lpad(n::text, 12, '0')
    )::uuid AS id, n FROM generate_series(1, 30000) AS n;
INSERT INTO logs_requestlog (id, at, environment, method, path, route, query, status, status_class,
    code, duration, is_slow, request_bytes, response_bytes, address, user_agent, kind)
SELECT id, now(), 'production', 'GET', '/', '', '', 200, 2, '', 100, false, 0, 0, '', '', 'request'
FROM made;
INSERT INTO logs_requestcontent SELECT id, '{}', '{}', '', '', false, false FROM made;
"""
# Whoever alters the tables in a way that is named stands still there.
HANG = """
CREATE TABLE hanging (at text);
CREATE FUNCTION hang() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    PERFORM pg_sleep(600) FROM hanging WHERE current_query() LIKE '%' || at || '%';
END $$;
CREATE EVENT TRIGGER hanging ON ddl_command_start EXECUTE FUNCTION hang();
"""
HUNG = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'"
WORD = "SELECT relkind FROM pg_class WHERE oid = %s::regclass"
BOUNDS = "SELECT conname FROM pg_constraint WHERE conname LIKE '%\\_bound'"
LATER = """
INSERT INTO logs_requestlog (id, at, environment, method, path, route, query, status, status_class,
    code, duration, is_slow, request_bytes, response_bytes, address, user_agent, kind)
VALUES (%s, now(), 'production', 'GET', '/', '', '', 200, 2, '', 9, false, 0, 0, '', '', 'request')
"""
STEPS = (
    "logs_requestlog ADD CONSTRAINT",
    "VALIDATE CONSTRAINT logs_requestlog_bound",
    "logs_requestlog RENAME",
    "logs_requestlog ATTACH PARTITION",
    "PARTITION OF logs_requestlog",
    "VALIDATE CONSTRAINT logs_requestcontent_bound",
    "logs_requestcontent ATTACH PARTITION",
)


@pytest.fixture(scope="module")
def undivided(postgres: Postgres) -> str:
    """The name of a database as it was before its log was divided, with requests."""
    url = postgres.new_database()
    product = Latchkey(database=url, **SETTINGS)
    try:
        assert product.manage("migrate", "logs", "0010").returncode == 0
        assert product.manage("migrate", "apikeys").returncode == 0
    finally:
        product.remove()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(FILL)
        connection.execute(HANG)
    return url.rpartition("/")[2]


@contextmanager
def copy_of(name: str, postgres: Postgres) -> Iterator[tuple[Latchkey, psycopg.Connection[Any]]]:
    with postgres.database() as url:
        copy = url.rpartition("/")[2]
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE {copy}".encode())
            connection.execute(f"CREATE DATABASE {copy} TEMPLATE {name}".encode())
        product = Latchkey(database=url, **SETTINGS)
        try:
            with psycopg.connect(url, autocommit=True) as connection:
                yield product, connection
        finally:
            product.remove()


def migration(product: Latchkey, *which: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "manage.py", "migrate", *which],
        cwd=ROOT, env=product.environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip


def numbers(connection: psycopg.Connection[Any]) -> list[Any]:
    counts = (f"SELECT count(*) FROM {table}".encode() for table in TABLES)  # noqa: S608
    return [connection.execute(count).fetchone() for count in counts]


def kinds(connection: psycopg.Connection[Any]) -> list[Any]:
    return [connection.execute(WORD, [table]).fetchone() for table in TABLES]


@pytest.mark.crash
@pytest.mark.parametrize("step", STEPS)
def test_a_migration_that_is_killed_anywhere_is_run_again(
    step: str, undivided: str, postgres: Postgres
) -> None:
    with copy_of(undivided, postgres) as (product, connection):
        connection.execute("INSERT INTO hanging VALUES (%s)", [step])
        process = migration(product)
        wait_until(lambda: connection.execute(HUNG.encode()).fetchone() is not None)
        process.kill()
        process.wait()
        # It would notice only once it answers.
        for (pid,) in connection.execute(HUNG.encode()).fetchall():
            connection.execute("SELECT pg_terminate_backend(%s)", [pid])
        connection.execute("DELETE FROM hanging")

        # Until somebody does so, the log is as it was.
        now = timezone.now()
        for days in (0, 1, 29):
            connection.execute(LATER, [first_id_at(now + timedelta(days=days))])
        again = product.manage("migrate")

        assert again.returncode == 0, again.stderr
        assert numbers(connection) == [(ROWS + 3,), (ROWS,)]
        assert kinds(connection) == [("p",), ("p",)]
        assert connection.execute(BOUNDS.encode()).fetchall() == []


def test_a_migration_waits_for_a_backup_and_holds_up_nobody(
    undivided: str, postgres: Postgres
) -> None:
    with copy_of(undivided, postgres) as (product, connection):
        with psycopg.connect(product.environment["DATABASE_URL"]) as backup:
            backup.execute("LOCK TABLE logs_requestlog, logs_requestcontent IN ACCESS SHARE MODE")
            process = migration(product)
            wait_until(
                lambda: connection.execute(
                    "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
                ).fetchone() is not None
            )  # fmt: skip
            connection.execute("SET statement_timeout = '10s'")
            for days in range(3):
                later = timezone.now() + timedelta(days=days)
                connection.execute(LATER, [first_id_at(later)])
            assert process.poll() is None
        assert process.wait(120) == 0

        assert kinds(connection) == [("p",), ("p",)]
        assert numbers(connection) == [(ROWS + 3,), (ROWS,)]


def test_a_migration_that_cannot_succeed_leaves_no_constraint(
    undivided: str, postgres: Postgres
) -> None:
    with copy_of(undivided, postgres) as (product, connection):
        connection.execute(
            "CREATE FUNCTION refuse() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN"
            " IF current_query() LIKE '%VALIDATE%' THEN RAISE 'the disk is full'; END IF; END $$"
        )
        connection.execute(
            "CREATE EVENT TRIGGER refusing ON ddl_command_start EXECUTE FUNCTION refuse()"
        )

        failed = product.manage("migrate")

        assert failed.returncode == 1
        assert "logs_requestlog cannot be divided by day: the disk is full" in failed.stderr
        assert "Traceback" not in failed.stderr
        assert connection.execute(BOUNDS.encode()).fetchall() == []
        assert kinds(connection) == [("r",), ("r",)]


def test_grants_and_indexes_stay(undivided: str, postgres: Postgres) -> None:
    shown = (
        "SELECT indexname, replace(indexdef, ' ONLY', '') FROM pg_indexes"
        " WHERE tablename = ANY(%s) ORDER BY 1"
    )
    with copy_of(undivided, postgres) as (product, connection):
        connection.execute('CREATE ROLE "a reader"')
        connection.execute('GRANT SELECT ON logs_requestlog TO "a reader"')
        connection.execute("CREATE INDEX of_the_operator ON logs_requestlog (path)")
        before = connection.execute(shown, [list(TABLES)]).fetchall()

        assert product.manage("migrate").returncode == 0

        assert connection.execute(shown, [list(TABLES)]).fetchall() == before
        may = "SELECT has_table_privilege('a reader', 'logs_requestlog', 'SELECT')"
        assert connection.execute(may).fetchone() == (True,)
        connection.execute('DROP OWNED BY "a reader"')
        connection.execute('DROP ROLE "a reader"')


def test_tables_stay_with_their_owner_whoever_migrates(undivided: str, postgres: Postgres) -> None:
    owners = "SELECT DISTINCT relowner::regrole::text FROM pg_class WHERE relname ~ '^logs_request'"
    with copy_of(undivided, postgres) as (product, connection):
        connection.execute('CREATE ROLE "who runs it"')
        for table in TABLES:
            connection.execute(f'ALTER TABLE {table} OWNER TO "who runs it"'.encode())

        assert product.manage("migrate").returncode == 0

        assert connection.execute(owners).fetchall() == [('"who runs it"',)]
        connection.execute('REASSIGN OWNED BY "who runs it" TO latchkey')
        connection.execute('DROP ROLE "who runs it"')


def test_two_migrations_at_once_both_end_well(undivided: str, postgres: Postgres) -> None:
    with copy_of(undivided, postgres) as (product, connection):
        both = [migration(product, "logs", "0011") for _ in range(2)]

        assert [process.wait(120) for process in both] == [0, 0]

        assert kinds(connection) == [("p",), ("p",)]
        assert numbers(connection) == [(ROWS,), (ROWS,)]


def test_requests_of_a_clock_far_ahead_are_named(undivided: str, postgres: Postgres) -> None:
    with copy_of(undivided, postgres) as (product, connection):
        connection.execute(LATER, [first_id_at(timezone.now() + timedelta(days=400))])

        failed = product.manage("migrate")

        assert failed.returncode == 1
        assert "The table logs_requestlog holds requests of a time after" in failed.stderr
        assert "Delete those whose id is" in failed.stderr
        assert "Traceback" not in failed.stderr
        connection.execute(
            "DELETE FROM logs_requestlog WHERE id > %s",
            [first_id_at(timezone.now() + timedelta(days=31))],
        )
        assert product.manage("migrate").returncode == 0


def test_a_host_of_1_0_0_reads_and_ships_the_log_while_it_is_divided(
    code_of_1_0_0: Path,  # noqa: F811
) -> None:
    active, _ = CREDENTIALS["postgres"]
    with on_database_of_1_0_0("postgres") as product:
        url = product.environment["DATABASE_URL"]
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FILL)
            (before, _) = numbers(connection)
        with product.log.open("ab") as log:
            product.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve"],
                cwd=code_of_1_0_0,
                env=product.environment | {"DEFAULT_LIMITS_PRODUCTION": NO_LIMITS},
                stdout=log,
                stderr=log,
            )
        wait_until(product.is_ready)
        process = migration(product)
        statuses = []
        with product.caller(active) as client:
            while process.poll() is None:
                statuses.append(client.get("/api/production/v1/logs?limit=5").status_code)
            statuses += [client.get("/api/production/v1/key").status_code for _ in range(20)]
        assert process.returncode == 0
        assert set(statuses) == {200}

        with psycopg.connect(url, autocommit=True) as connection:
            wait_until(lambda: numbers(connection)[0][0] == before[0] + len(statuses))
            assert numbers(connection)[1] == numbers(connection)[0]
            assert kinds(connection) == [("p",), ("p",)]
        assert not list(product.folder.glob("spool/rejected*"))
