"""``manage.py`` where its output goes nowhere, or what it needs is damaged."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.support.product import ROOT, Latchkey, copy_prepared_folder

MANAGE = f"{sys.executable} manage.py"


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Latchkey:
    """An installation on files, with one key."""
    folder = tmp_path_factory.mktemp("var")
    copy_prepared_folder(folder)
    made = Latchkey(LATCHKEY_VAR=str(folder))
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


def run_into_a_closed_pipe(
    product: Latchkey, *arguments: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run a command whose reader is gone before it writes."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        return subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=ROOT, env=product.environment | variables, stdout=writer,
            stderr=subprocess.PIPE, text=True, timeout=60, check=False,
        )  # fmt: skip
    finally:
        os.close(writer)


def history(product: Latchkey) -> dict[str, Any]:
    """Return each key with the events and the secrets it has."""
    program = (
        "import json; from apikeys.models import ApiKey; from audit.models import Event;"
        "print(json.dumps({"
        "key.pk: [key.revision, key.secrets.count(), Event.objects.about(key).count()]"
        " for key in ApiKey.objects.all()}))"
    )
    found: dict[str, Any] = json.loads(product.manage("shell", "-v0", "-c", program).stdout)
    return found


@pytest.mark.parametrize("form", [(), ("--json",)])
@pytest.mark.parametrize("command", ["create", "regenerate"])
def test_a_key_whose_reader_is_gone_is_not_made(
    product: Latchkey, command: str, form: tuple[str, ...]
) -> None:
    before = history(product)
    what = ("Lost", "--environment", "staging") if command == "create" else (next(iter(before)),)

    done = run_into_a_closed_pipe(product, f"{command}_api_key", *what, *form)

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "could not be printed" in done.stderr
    assert history(product) == before


@pytest.mark.parametrize("form", ["", "--json"])
@pytest.mark.parametrize("command", ["create", "regenerate"])
def test_a_key_that_a_full_device_does_not_take_is_not_made(
    product: Latchkey, command: str, form: str
) -> None:
    before = history(product)
    what = "Lost --environment staging" if command == "create" else next(iter(before))

    done = shell(product, f"{MANAGE} {command}_api_key {what} {form} > /dev/full")

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "could not be printed" in done.stderr
    assert history(product) == before


def test_a_key_is_made_where_the_note_beside_it_finds_a_full_device(product: Latchkey) -> None:
    done = shell(product, f"{MANAGE} create_api_key Noted --environment staging 2> /dev/full")

    assert done.returncode == 0
    assert done.stdout.split("_")[2] in keys(product)


@pytest.mark.parametrize("password", ["", "a password for the tests"])
def test_a_first_start_that_cannot_be_printed_leaves_no_administrator_and_no_key(
    tmp_path: Path, password: str
) -> None:
    product = Latchkey(LATCHKEY_VAR=str(tmp_path), LATCHKEY_ADMIN_PASSWORD=password)

    failed = run_into_a_closed_pipe(product, "bootstrap")
    after_failure = product.manage(
        "shell", "-v0", "-c",
        "from django.contrib.auth.models import User; from apikeys.models import ApiKey;"
        "print(User.objects.count(), ApiKey.objects.filter(name='Quickstart').count())",
    )  # fmt: skip
    again = product.manage("bootstrap")

    assert (failed.returncode, failed.stderr.count("\n")) == (1, 1)
    assert after_failure.stdout.split() == ["0", "0"]
    assert again.returncode == 0
    assert ("LATCHKEY_ADMIN_PASSWORD" if password else "password ") in again.stdout
    assert "at the first start" not in again.stdout


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
    copy_prepared_folder(tmp_path)
    for file in tmp_path.glob("latchkey.sqlite3*"):
        file.write_bytes(b"no database" * 1000)

    done = product.manage("list_api_keys")

    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)


# Read as the version that may write the file: SQLite then only reads it, root's or not.
WRITE_VERSION_AT, LATER_VERSION = 18, b"\x03"


@pytest.mark.parametrize("command", ["serve", "worker"])
@pytest.mark.parametrize("database", ["file", "standby"])
def test_a_database_that_can_only_be_read_is_one_line(
    database: str, command: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    if database == "standby":
        url = request.getfixturevalue("postgres").new_database()
        product = Latchkey(database=url, LATCHKEY_VAR=str(tmp_path))
        assert product.manage("migrate", "-v0").returncode == 0
        with psycopg.connect(url, autocommit=True) as connection:
            name = connection.info.dbname
            connection.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    else:
        product = Latchkey(LATCHKEY_VAR=str(tmp_path))
        copy_prepared_folder(tmp_path)
        with (tmp_path / "latchkey.sqlite3").open("r+b") as file:
            file.seek(WRITE_VERSION_AT)
            file.write(LATER_VERSION)

    done = product.manage(command)

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "The database can only be read." in done.stderr


def test_a_command_on_an_older_database_says_to_migrate(tmp_path: Path) -> None:
    older = Latchkey(LATCHKEY_VAR=str(tmp_path / "older"))
    older.manage("migrate", "-v0")
    older.manage("migrate", "-v0", "jobs", "0001")
    older.manage("migrate", "-v0", "logs", "zero")
    older.manage("migrate", "-v0", "apikeys", "0001")

    done = older.manage("show_api_key", "0" * 12)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "latchkey: DATABASE_URL names a database that lacks this version's tables."
        " Run `manage.py migrate` first.\n"
    )
