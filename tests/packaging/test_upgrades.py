"""Upgrades: a database that version 1.0.0 made is migrated, and what was in it goes on.

The fixtures are dumps of what 1.0.0 wrote while it was used: three keys, a service, a customer, a
job and requests, under the pepper below, and its code. Their keys exist nowhere else.
"""

import json
import re
import sqlite3
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
import pytest

from tests.support.product import PAIRS, ROOT, Latchkey
from tests.support.servers import Postgres, Redis, running, wait_until
from tests.support.services import available

NO_LIMITS = "100000000/min,100000000/hour,100000000/day"
FIXTURES = Path(__file__).parent / "fixtures"
SETTINGS = {"API_KEY_PEPPERS": "1:" + "ab" * 32, "SECRET_KEY": "0123456789abcdef" * 4}
CREDENTIALS = {
    "sqlite": (
        "lk_prod_7HlSBBfPD58o_T0HhU8XAUlWVdGsObU80T7aZOJNY9mnA1VeNAw",
        "lk_prod_ncC6QA6C1DAp_gLm6JVtuPx6SuTzdkMiVLxqSRI2CybDZ2eqgED",
    ),
    "postgres": (
        "lk_prod_OE5vACKgmc4h_JtvMwIapJdyZVOamwSebp7OBOKdbouV13VAQmc",
        "lk_prod_J3xI1JqSrFQ1_IRK6sKVwgJJbLcis5Zy7OOqoo4pIMW5l0fpjlQ",
    ),
}


@contextmanager
def on_database_of_1_0_0(pair: str) -> Iterator[Latchkey]:
    """Yield the product, not started yet, on a database of 1.0.0."""
    dump = FIXTURES / f"version-1.0.0.{pair}.sql"
    with ExitStack() as stack:
        where: dict[str, str] = {}
        if pair == "postgres":
            postgres = stack.enter_context(running(available(Postgres)))
            where = {
                "database": postgres.url,
                "redis": stack.enter_context(running(available(Redis))).url,
            }
            psql = str(Path(postgres.find()).with_name("psql"))
            command = [psql, "--quiet", "--set", "ON_ERROR_STOP=1", "--file", str(dump)]
            subprocess.run([*command, postgres.url], check=True, stdout=subprocess.DEVNULL)
        product = Latchkey(**where, **SETTINGS)
        stack.callback(product.remove)
        if pair == "sqlite":
            with sqlite3.connect(product.folder / "latchkey.sqlite3") as connection:
                connection.executescript(dump.read_text())
            connection.close()
        yield product


@pytest.fixture(scope="module", params=PAIRS)
def upgraded(request: pytest.FixtureRequest) -> Iterator[tuple[Latchkey, str]]:
    """The product on a database of 1.0.0 that was migrated, and the pair it is on."""
    with on_database_of_1_0_0(request.param) as product:
        migrated = product.manage("migrate")
        assert migrated.returncode == 0, migrated.stderr
        product.serve()
        yield product, request.param


@pytest.fixture(scope="module")
def code_of_1_0_0(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The code of 1.0.0, kept beside its databases: a shallow clone has no history."""
    folder = tmp_path_factory.mktemp("code")
    with tarfile.open(FIXTURES / "version-1.0.0.tar.xz") as archive:
        archive.extractall(folder, filter="data")
    return folder


@pytest.mark.parametrize("pair", PAIRS)
def test_a_host_of_1_0_0_refuses_no_key_while_another_migrates(
    code_of_1_0_0: Path, pair: str
) -> None:
    active, _ = CREDENTIALS[pair]
    with on_database_of_1_0_0(pair) as product:
        with product.log.open("ab") as log:
            product.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve"],
                cwd=code_of_1_0_0,
                env=product.environment | {"DEFAULT_LIMITS_PRODUCTION": NO_LIMITS},
                stdout=log,
                stderr=log,
            )
        wait_until(product.is_ready)
        migration = subprocess.Popen(
            [sys.executable, "manage.py", "migrate"],
            cwd=ROOT,
            env=product.environment,
            stdout=subprocess.DEVNULL,
        )
        answered: Counter[int] = Counter()
        with product.caller(active) as client:
            while migration.poll() is None:
                answered[client.get("/api/production/v1/key").status_code] += 1
            for _ in range(20):
                answered[client.get("/api/production/v1/customers").status_code] += 1

    assert migration.returncode == 0
    assert set(answered) == {200}, answered
    assert answered[200] > 100


# Before 1.0.0 is migrated: an index that a migration was making when it was cut off, and a note of
# the limits under which each statement of the migrations runs.
WATCHED = """
CREATE INDEX request_by_trace ON logs_requestlog (path);
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'request_by_trace'::regclass;
CREATE TABLE limits_seen (statements text, transactions text, locks text, tag text);
CREATE FUNCTION note_limits() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
    INSERT INTO limits_seen VALUES (current_setting('statement_timeout'),
        current_setting('idle_in_transaction_session_timeout'), current_setting('lock_timeout'),
        tg_tag);
END $$;
CREATE EVENT TRIGGER noted ON ddl_command_end EXECUTE FUNCTION note_limits();
"""
INVALID = "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
LIMITS = "SELECT DISTINCT statements, transactions FROM limits_seen"
LOCKS = "SELECT DISTINCT locks FROM limits_seen WHERE tag LIKE 'ALTER%'"
INDEX = "SELECT indexdef FROM pg_indexes WHERE indexname = 'request_by_trace'"


def test_migrations_take_their_time_and_make_an_index_anew_that_was_cut_off() -> None:
    with on_database_of_1_0_0("postgres") as product:
        url = product.environment["DATABASE_URL"]
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(WATCHED)
            migrated = product.manage("migrate")
            limits = connection.execute(LIMITS).fetchall()
            locks = connection.execute(LOCKS).fetchall()
            invalid = connection.execute(INVALID).fetchall()
            (index,) = connection.execute(INDEX).fetchone() or ("",)

    assert migrated.returncode == 0, migrated.stderr
    assert limits == [("0", "0")]
    # Who waits to alter a table holds up everybody who uses it.
    assert {limit for (limit,) in locks} == {"7s", "300ms"}
    assert invalid == []
    assert "(trace_id, id DESC)" in index


def test_keys_of_1_0_0_are_admitted_and_refused_as_before(upgraded: tuple[Latchkey, str]) -> None:
    product, pair = upgraded
    active, revoked = CREDENTIALS[pair]

    with product.caller(active) as client:
        key = client.get("/api/production/v1/key").json()
        customers = client.get("/api/production/v1/customers").json()["data"]
    with product.caller(revoked) as client:
        refused = client.get("/api/production/v1/key").json()

    assert key["name"] == "Website"
    assert "logs:read" in key["permissions"]
    assert [customer["name"] for customer in customers] == ["Ada Ltd"]
    assert refused["code"] == "key_revoked"


def test_requests_and_jobs_of_1_0_0_are_there(upgraded: tuple[Latchkey, str]) -> None:
    product, pair = upgraded
    active, _ = CREDENTIALS[pair]
    key_id = active.split("_")[2]
    granted = product.manage("update_api_key", key_id, "--add-permission", "jobs:read")
    assert granted.returncode == 0, granted.stderr

    with product.caller(active) as client:
        requests = client.get("/api/production/v1/logs?limit=200").json()["data"]
        jobs = client.get("/api/production/v1/jobs").json()["data"]

    assert {request["path"] for request in requests} >= {
        "/api/production/v1/customers",
        "/api/production/v1/jobs",
        "/api/production/v1/licenses",
    }
    assert [job["type"] for job in jobs] == ["customers.export"]
    assert jobs[0]["status"] == "succeeded"


def test_events_and_services_of_1_0_0_are_in_the_trail(upgraded: tuple[Latchkey, str]) -> None:
    product, pair = upgraded
    _, revoked = CREDENTIALS[pair]

    verified = product.manage("verify_audit")
    events = product.manage("export_events", "--action", "revoked")
    service = json.loads(product.manage("show_service", "orders", "--json").stdout)

    assert verified.returncode == 0, verified.stderr
    assert revoked.split("_")[2] in events.stdout
    assert "Left the company" in events.stdout
    assert len(service["rules"]) == 2


@pytest.mark.parametrize("pair", PAIRS)
def test_a_dump_is_of_1_0_0_alone(pair: str) -> None:
    text = (FIXTURES / f"version-1.0.0.{pair}.sql").read_text()

    assert not re.search(r"CREATE TABLE (public\.)?\"?audit_event", text)
    assert re.search(r"CREATE TABLE (public\.)?\"?gateway_service", text)
