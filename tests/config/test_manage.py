"""``manage.py`` where its output goes nowhere, or what it needs is damaged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.latchkey import ROOT, Latchkey

MANAGE = f"{sys.executable} manage.py"


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Latchkey:
    """An installation on files, with one key."""
    made = Latchkey(LATCHKEY_VAR=str(tmp_path_factory.mktemp("var")))
    made.manage("migrate", "-v0")
    assert made.manage("create_api_key", "🔑 [red] :key:", "--environment", "staging").stdout
    return made


def shell(product: Latchkey, command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", "-c", command],
        cwd=ROOT, env=product.environment | variables, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip


def keys(product: Latchkey) -> list[str]:
    return [key["id"] for key in json.loads(product.manage("list_api_keys", "--json").stdout)]


def test_a_new_key_is_printed_where_the_note_beside_it_has_nowhere_to_go(
    product: Latchkey,
) -> None:
    done = shell(product, f"{MANAGE} create_api_key Quiet --environment staging 2>&-")

    assert done.stdout.startswith("lk_stag_")


def test_no_key_is_made_that_could_not_be_printed(product: Latchkey) -> None:
    before = keys(product)

    done = shell(product, f"{MANAGE} create_api_key Lost --environment staging >&-")

    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert keys(product) == before


@pytest.mark.parametrize(
    "command", ["list_api_keys", "list_api_keys --json", "export_logs --format ndjson --dry-run"]
)
def test_a_reader_that_goes_away_is_no_error(product: Latchkey, command: str) -> None:
    done = shell(product, f"{MANAGE} {command} | true")

    assert done.stderr == ""


def test_a_full_device_is_one_line(product: Latchkey) -> None:
    done = shell(product, f"{MANAGE} list_api_keys --json > /dev/full")

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_a_name_is_printed_as_it_was_typed_whatever_the_terminal(product: Latchkey) -> None:
    wide = shell(product, f"{MANAGE} list_api_keys")
    narrow = shell(product, f"{MANAGE} list_api_keys", PYTHONIOENCODING="latin-1")

    assert "🔑 [red] :key:" in wide.stdout
    assert "\\U0001f511 [red] :key:" in narrow.stdout


def test_a_terminal_of_80_columns_shows_key_ids_whole(product: Latchkey) -> None:
    done = shell(product, f"script -qec 'stty cols 80; {MANAGE} list_api_keys' /dev/null")

    assert all(key_id in done.stdout for key_id in keys(product))


def test_an_unknown_command_is_one_line_and_exit_2(product: Latchkey) -> None:
    done = product.manage("nope")

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)


def test_a_damaged_database_is_one_line(tmp_path: Path) -> None:
    product = Latchkey(LATCHKEY_VAR=str(tmp_path))
    product.manage("migrate", "-v0")
    for file in tmp_path.glob("latchkey.sqlite3*"):
        file.write_bytes(b"no database" * 1000)

    done = product.manage("list_api_keys")

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
