"""What the server is told about our connections."""

from pathlib import Path

import pytest

from config.databases import database
from tests.support.product import Latchkey
from tests.support.servers import Postgres, running

SHOWN = {
    "statement_timeout": "30s",
    "lock_timeout": "7s",
    "idle_in_transaction_session_timeout": "1min",
    "jit": "off",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
PORT = """\
from django.db import connection
with connection.cursor() as cursor:
    cursor.execute("SELECT inet_server_port()")
    print(*cursor.fetchone())
"""


def test_postgresql_lets_go_of_a_vanished_host_and_compiles_no_query(
    postgres: Postgres, tmp_path: Path
) -> None:
    product = Latchkey(database=postgres.new_database(), LATCHKEY_VAR=str(tmp_path))

    shown = product.manage(
        "shell", "-v0", "-c",
        "from django.db import connection\n"
        "with connection.cursor() as cursor:\n"
        f"    for name in {list(SHOWN)}:\n"
        "        cursor.execute(f'SHOW {name}')\n"
        "        print(name, cursor.fetchone()[0])",
    )  # fmt: skip

    assert dict(line.split() for line in shown.stdout.splitlines()) == SHOWN


@pytest.mark.parametrize(
    ("url", "hosts", "ports"),
    [
        ("postgres://latchkey@pg1:5432,pg2:5433/keys", "pg1,pg2", "5432,5433"),
        ("postgres://latchkey@pg1,pg2:5433/keys?sslmode=require", "pg1,pg2", "5432,5433"),
        ("postgres://latchkey:a%2Cb@[::1]:5434,[::2]/keys", "::1,::2", "5434,5432"),
    ],
)
def test_of_several_hosts_the_one_that_takes_writes_is_used(
    url: str, hosts: str, ports: str, tmp_path: Path
) -> None:
    config = database(url, tmp_path)

    assert (config["HOST"], config["PORT"], config["NAME"]) == (hosts, ports, "keys")
    assert config["OPTIONS"]["target_session_attrs"] == "read-write"


def test_one_host_is_used_whatever_it_is_and_an_address_may_say_otherwise(tmp_path: Path) -> None:
    one = database("postgres://pg1/keys", tmp_path)
    other = database("postgres://pg1,pg2/keys?target_session_attrs=primary", tmp_path)

    assert "target_session_attrs" not in one["OPTIONS"]
    assert other["OPTIONS"]["target_session_attrs"] == "primary"


def test_a_command_waits_for_the_second_host_when_the_first_is_silent(postgres: Postgres) -> None:
    with running(Postgres()) as silent:
        silent.freeze()
        address = f"127.0.0.1:{silent.port},127.0.0.1:{postgres.port}"
        product = Latchkey(database=f"postgres://latchkey@{address}/postgres")

        shown = product.manage("shell", "-v0", "-c", PORT)

    assert shown.stdout.split() == [str(postgres.port)], shown.stderr
