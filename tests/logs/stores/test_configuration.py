"""How a log store is chosen: what is wrong with the choice is said in two sentences."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.product import ROOT

URL = "clickhouse://latchkey:password@127.0.0.1:9/requests"
# As where it is not installed.
NOT_INSTALLED = """
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name: None if name == "clickhouse_connect" else find(name)
import config.settings
"""


def run(code: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": os.environ["PATH"], "LATCHKEY_VAR": str(folder), **variables}
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip


def test_nothing_of_it_is_loaded_unless_it_is_named(tmp_path: Path) -> None:
    code = """
import sys
import config.wsgi
from logs.stores import log_store
print(type(log_store()).__name__, any(m.startswith("clickhouse_connect") for m in sys.modules))
"""

    off = run(code, tmp_path)
    on = run(code, tmp_path, LOG_STORE_URL=URL)

    assert off.stdout.split() == ["DatabaseStore", "False"], off.stderr
    assert on.stdout.split() == ["ClickHouseStore", "True"], on.stderr


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({"LOG_STORE_URL": "http://host/db"}, "LOG_STORE_URL is not the address of a ClickHouse"),
        ({"LOG_STORE_URL": "clickhouse:///db"}, "LOG_STORE_URL is not the address of a Click"),
        ({"LOG_STORE_URL": "clickhouse://host:x/db"}, "LOG_STORE_URL is not the address of a Cl"),
        ({"LOG_STORE_URL": f"{URL}?x=password"}, "LOG_STORE_URL has an option that is not known"),
        ({"LOG_STORE_URL": f"{URL}/more"}, "LOG_STORE_URL names more than a database"),
        ({"LOG_STORE_URL": URL, "LOG_STORE_CLUSTER": "a'b"}, "LOG_STORE_CLUSTER is no name of a"),
        (
            {"LOG_STORE_URL": URL, "LOG_DURABILITY": "store", "DATABASE_URL": "postgres://h/n"},
            "LOG_STORE_URL cannot be used with LOG_DURABILITY=store",
        ),
        ({"LOG_STORE_URL": URL}, "LOG_STORE_URL needs packages that are not installed"),
    ],
)
def test_what_is_wrong_stops_the_start(
    tmp_path: Path, variables: dict[str, str], says: str
) -> None:
    code = NOT_INSTALLED if "packages" in says else "import config.settings"

    done = run(code, tmp_path, **variables)

    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert says in last
    assert last.count(". ") == 1
    assert "password" not in last.replace("user:password@", "")


@pytest.mark.parametrize(
    ("url", "host", "port", "is_secure"),
    [
        ("clickhouse://host/db", "host", 8123, False),
        ("clickhouse://host/db?secure=1", "host", 8443, True),
        ("clickhouses://u:p%40ss@[::1]:9440/db", "::1", 9440, True),
    ],
)
def test_an_address_says_whether_it_is_over_tls(
    tmp_path: Path, url: str, host: str, port: int, is_secure: bool
) -> None:
    code = "from config.settings import DATABASES as d; print(*map(d['log_store'].get, 'HOST PORT PASSWORD OPTIONS'.split()))"  # noqa: E501

    done = run(code, tmp_path, LOG_STORE_URL=url)

    password = "p@ss " if "p%40ss" in url else " "
    assert done.stdout == f"{host} {port} {password}{{'is_secure': {is_secure}}}\n", done.stderr
