"""What the server is told about our connections."""

from pathlib import Path

from tests.support.product import Latchkey
from tests.support.servers import Postgres

SHOWN = {
    "statement_timeout": "30s",
    "lock_timeout": "7s",
    "idle_in_transaction_session_timeout": "1min",
    "jit": "off",
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}


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
