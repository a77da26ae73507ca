"""A backup holds everything that an installation is, and restores it wherever there is room."""

import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zipfile import ZIP_DEFLATED, ZipFile

import httpx
import psycopg
import pytest

from database.refusals import Refused
from operations.backups import rows, schema
from operations.backups.archive import Reader
from tests.operations.conftest import Place
from tests.support.product import PAIRS, ROOT, Latchkey

PASSPHRASE = "correct horse battery staple"
# What a text can hold that a line of text cannot.
AWKWARD = "tab\there, line\nbreak, \\N, \\, \\., \r, \x07, 🗝, “quoted”, ä"


def sql(product: Latchkey, statement: str, *values: Any) -> list[Any]:
    """Run a statement on an installation's database, past the product."""
    if product.environment["DATABASE_URL"]:
        with psycopg.connect(product.environment["DATABASE_URL"]) as connection:
            cursor: Any = connection.execute(statement.replace("?", "%s").encode(), values)
            return cursor.fetchall() if cursor.description else []
    with closing(sqlite3.connect(product.folder / "latchkey.sqlite3")) as database, database:
        return database.execute(statement, values).fetchall()


def backup(product: Latchkey, file: Path, *arguments: str) -> None:
    done = product.manage("backup", str(file), *arguments)
    assert done.returncode == 0, done.stderr


def contents(file: Path) -> dict[str, list[list[Any]]]:
    """Return what is in a backup, in one form for both databases and in one order."""
    archive = Reader(file)
    archive.check()
    found = {}
    for table in schema.tables(migrations(file)):
        lines = [line for some in archive.lines(table.name) for line in some]
        stored = [[in_one_form(value) for value in row] for row in rows.read(lines, table.kinds)]
        found[table.name] = sorted(stored, key=repr)
    return found


def in_one_form(value: Any) -> Any:
    """PostgreSQL writes JSON in a form of its own."""
    if isinstance(value, str) and value.startswith(("{", "[")):
        try:
            return json.dumps(json.loads(value))
        except ValueError:
            return value
    return value


def indexes(product: Latchkey) -> list[Any]:
    if product.environment["DATABASE_URL"]:
        # One of a table with partitions is valid where each has its part.
        return sql(
            product,
            "SELECT pg_get_indexdef(indexrelid), indisvalid FROM pg_index"
            " JOIN pg_class ON oid = indrelid"
            " WHERE relnamespace = 'public'::regnamespace AND NOT relispartition ORDER BY 1",
        )
    return sql(product, "SELECT sql FROM sqlite_master WHERE type = 'index' ORDER BY 1")


def migrations(file: Path) -> list[tuple[str, str]]:
    return [(app, name) for app, name in Reader(file).manifest["migrations"]]


@pytest.fixture(scope="module")
def originals(place: Place) -> dict[str, Latchkey]:
    """An installation of either kind, with everything in it that is easily lost."""
    made = {}
    for kind in PAIRS:
        product = made[kind] = place(kind, is_filled=True)
        product.create_key("--expires", "2027-01-31T00:00Z", environment="staging")
        sql(
            product,
            "UPDATE customers_customer SET name = ? WHERE external_reference = 'CRM-1001'",
            AWKWARD,
        )
        times = "UPDATE customers_customer SET updated_at = ? WHERE external_reference = ?"
        sql(product, times, "2026-05-04 03:02:01.120000", "CRM-1001")
        sql(product, times, "2026-05-04 03:02:01", "CRM-1002")
        # A number that was given and is gone.
        sql(product, "INSERT INTO auth_user (id, password, is_superuser, username, first_name,"
            " last_name, email, is_staff, is_active, date_joined) VALUES (500, '', ?, 'gone', '',"
            " '', '', ?, ?, '2026-05-04 03:02:01')", False, False, False)  # fmt: skip
        sql(product, "DELETE FROM auth_user WHERE id = 500")
        if kind == "postgres":
            sql(product, "SELECT setval(pg_get_serial_sequence('auth_user', 'id'), 500)")
    return made


@pytest.fixture(scope="module")
def backups(originals: dict[str, Latchkey], tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A backup of each."""
    folder = tmp_path_factory.mktemp("backups")
    for kind, product in originals.items():
        backup(product, folder / kind)
    return {kind: folder / kind for kind in originals}


@pytest.mark.parametrize("target", PAIRS)
@pytest.mark.parametrize("source", PAIRS)
def test_a_backup_of_either_database_is_restored_whole_into_either(
    source: str, target: str, originals: dict[str, Latchkey], backups: dict[str, Path],
    place: Place, file: Path,
) -> None:  # fmt: skip
    restored = place(target, like=originals[source])

    done = restored.manage("restore", str(backups[source]), "--verify")
    backup(restored, file)

    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    assert "The audit trail is whole" in done.stdout
    assert contents(file) == contents(backups[source])
    assert indexes(restored) == indexes(originals[target])
    assert AWKWARD in [name for (name,) in sql(restored, "SELECT name FROM customers_customer")]
    assert Reader(file).tables["auth_user"]["last_number"] == 500
    assert Reader(file).manifest["database"].startswith(target)
    if target == "postgres":
        partitions = (
            "SELECT count(*) FROM pg_inherits WHERE inhparent = 'logs_requestlog'::regclass"
        )
        assert sql(restored, partitions)[0][0] > 30


def test_a_restored_installation_serves_its_keys(
    originals: dict[str, Latchkey], place: Place, file: Path
) -> None:
    key = originals["sqlite"].create_key()
    backup(originals["sqlite"], file)
    restored = place("sqlite", like=originals["sqlite"], is_migrated=True)

    done = restored.manage("restore", str(file), "--verify", lines=key["key"] + "\n")
    restored.serve()
    with restored.caller(key["key"]) as client:
        answer = client.get("/api/production/v1/key")
    restored.stop()

    assert done.returncode == 0, done.stderr
    assert f"Key {key['id']} (Test) authenticates." in done.stdout
    assert answer.status_code == 200
    assert key["key"] not in done.stdout + done.stderr


def test_sessions_and_workers_are_left_out(originals: dict[str, Latchkey], file: Path) -> None:
    product = originals["sqlite"]
    sql(product, "INSERT INTO django_session VALUES ('a session', 'x', '2030-01-01 00:00:00')")

    backup(product, file)

    assert not {"django_session", "jobs_worker"} & set(Reader(file).tables)
    assert b"a session" not in b"".join(
        block for name in Reader(file).tables for block in Reader(file).blocks(name)
    )


@pytest.mark.parametrize("kind", PAIRS)
def test_a_restored_hand_over_link_opens_nothing(kind: str, place: Place, file: Path) -> None:
    original, command = place(kind, is_filled=True), "create_api_key"
    link = original.manage(command, "P", "--environment", "staging", "--hand-over", "24").stdout
    pending = "SELECT count(*) FROM apikeys_apikey WHERE hand_over_id IS NOT NULL"
    assert sql(original, pending)[0][0] >= 1
    backup(original, file)
    restored = place(kind, like=original)

    done = restored.manage("restore", str(file))

    assert done.returncode == 0, done.stderr
    assert "handover_handover" not in Reader(file).tables
    assert sql(restored, "SELECT count(*) FROM handover_handover") == [(0,)]
    assert sql(restored, pending) == [(0,)]
    if kind == "sqlite":
        restored.serve()
        assert httpx.get(restored.url + urlsplit(link.strip()).path).status_code == 404
        restored.stop()


def test_a_restore_under_another_secret_key_says_who_cannot_sign_in(
    backups: dict[str, Path], place: Place
) -> None:
    done = place("sqlite").manage("restore", str(backups["sqlite"]))

    assert done.returncode == 0, done.stderr
    assert "SECRET_KEY is another than that of the backup" in done.stderr
    assert "Run reset_second_factor for each person" in done.stderr


@pytest.mark.parametrize("kind", PAIRS)
def test_a_backup_of_an_older_version_is_restored_and_migrated(
    kind: str, place: Place, file: Path
) -> None:
    older = place(kind, is_filled=True)
    key = older.create_key()["id"]
    assert older.manage("migrate", "audit", "0001_initial").returncode == 0
    sql(
        older,
        "INSERT INTO apikeys_event (id, created_at, source, actor_name, action, reason, changes,"
        " key_id) VALUES ('01980000-0000-7000-8000-000000000001', '2025-07-11 12:00:00', 'admin',"
        " 'ada', 'revoked', 'Lost', '{}', ?)"
        if kind == "postgres"
        else "INSERT INTO apikeys_event (id, created_at, source, actor_name, action, reason,"
        " changes, key_id) VALUES ('01980000000070008000000000000001', '2025-07-11 12:00:00',"
        " 'admin', 'ada', 'revoked', 'Lost', '{}', ?)",
        key,
    )

    backup(older, file)
    restored = place(kind, like=older)
    done = restored.manage("restore", str(file), "--verify")

    assert ("audit", "0002_move_events") not in migrations(file)
    assert done.returncode == 0, done.stderr
    moved = sql(restored, "SELECT object_id FROM audit_event WHERE actor_name = 'ada'")
    assert moved == [(key,)]
    assert restored.manage("migrate", "--check").returncode == 0
    assert restored.manage("verify_audit").returncode == 0


def test_a_backup_of_a_newer_version_is_refused(
    originals: dict[str, Latchkey], place: Place, file: Path
) -> None:
    product = place("sqlite", is_filled=True)
    sql(product, "INSERT INTO django_migrations (app, name, applied)"
        " VALUES ('logs', '9999_later', '2026-01-01')")  # fmt: skip

    done = product.manage("backup", str(file))

    assert done.returncode == 2
    assert "logs.9999_later" in done.stderr
    assert not file.exists()


@pytest.mark.parametrize("kind", PAIRS)
def test_a_place_that_is_not_empty_is_refused_and_stays_as_it_is(
    kind: str, originals: dict[str, Latchkey], tmp_path: Path
) -> None:
    product, before, after = originals[kind], tmp_path / "before", tmp_path / "after"
    backup(product, before)

    done = product.manage("restore", str(before))
    backup(product, after)

    assert done.returncode == 2
    assert done.stdout == ""
    assert "The database is not empty" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert contents(after) == contents(before)


def test_a_place_that_was_only_migrated_is_empty(
    originals: dict[str, Latchkey], backups: dict[str, Path], place: Place
) -> None:
    restored = place("sqlite", like=originals["sqlite"], is_migrated=True)

    assert restored.manage("restore", str(backups["sqlite"])).returncode == 0
    assert sql(restored, "SELECT count(*) FROM apikeys_apikey")[0][0] > 10


def test_a_file_that_was_cut_off_or_altered_is_refused(
    backups: dict[str, Path], tmp_path: Path
) -> None:
    whole, manifest = backups["sqlite"].read_bytes(), Reader(backups["sqlite"]).manifest
    changed = tmp_path / "changed"

    def is_refused(data: bytes) -> bool:
        changed.write_bytes(data)
        try:
            Reader(changed).check()
        except Refused:
            return True
        return False

    assert all(is_refused(whole[:length]) for length in range(0, len(whole), 997))
    # Where nothing is refused the bit says nothing of the contents, such as a time of a member.
    ends = [*range(0, len(whole), 211), *range(len(whole) - 4000, len(whole), 7)]
    for bit in ends:
        altered = bytearray(whole)
        altered[bit] ^= 1 << bit % 8
        assert is_refused(bytes(altered)) or Reader(changed).manifest == manifest
    # Every byte of a row counts.
    for name in Reader(backups["sqlite"]).tables:
        start = whole.index(f"tables/{name}".encode()) + len(f"tables/{name}") + 30
        altered = bytearray(whole)
        altered[start] ^= 0x10
        if Reader(backups["sqlite"]).tables[name]["rows"]:
            assert is_refused(bytes(altered)), name


def test_what_is_no_backup_is_named_so_and_changes_nothing(place: Place, file: Path) -> None:
    file.write_text("SQLite format 3\0")
    restored = place("sqlite")

    done = restored.manage("restore", str(file))

    assert done.returncode == 2
    assert "is no backup, or not a whole one. Copy it anew" in done.stderr
    assert not sql(restored, "SELECT name FROM sqlite_master")


ALTERED: dict[str, Callable[[bytes], bytes]] = {
    "a number that is none": lambda rows: rows.replace(b"1\t", b"x\t", 1),
    "a row that is too short": lambda rows: b"1\t2\n" + rows,
    "an end before the end": lambda rows: b"\\.\n" + rows,
    "a row that is cut off": lambda rows: rows + b"2",
    "no text": lambda rows: rows.replace(b"admin", b"adm\xff", 1),
}


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        *((how, "sqlite") for how in ALTERED),
        ("an end before the end", "postgres"),
        ("a row that is too short", "postgres"),
    ],
)
def test_rows_that_were_altered_with_their_digest_are_refused(
    how: str, kind: str, backups: dict[str, Path], place: Place, file: Path
) -> None:
    table, restored = "auth_user", place(kind, is_migrated=True)
    with ZipFile(backups["sqlite"]) as whole, ZipFile(file, "w", ZIP_DEFLATED) as altered:
        manifest = json.loads(whole.read("manifest.json"))
        for name in manifest["tables"]:
            data = whole.read(f"tables/{name}")
            if name == table:
                data = ALTERED[how](data)
                described = {"sha256": sha256(data).hexdigest(), "rows": data.count(b"\n")}
                manifest["tables"][name] |= described
            altered.writestr(f"tables/{name}", data)
        altered.writestr("manifest.json", json.dumps(manifest))

    done = restored.manage("restore", str(file))

    assert done.returncode == 2
    assert "is no backup, or not a whole one." in done.stderr
    assert sql(restored, "SELECT count(*) FROM auth_user")[0][0] == 0


@pytest.mark.parametrize("missing", ["migrations", "made_at", "peppers", "secrets", "tables"])
def test_a_manifest_that_lacks_something_is_refused(
    missing: str, backups: dict[str, Path], file: Path
) -> None:
    with ZipFile(backups["sqlite"]) as whole, ZipFile(file, "w", ZIP_DEFLATED) as altered:
        manifest = json.loads(whole.read("manifest.json"))
        del manifest[missing]
        altered.writestr("manifest.json", json.dumps(manifest))

    with pytest.raises(Refused, match="is no backup, or not a whole one"):
        Reader(file)


def test_a_pipe_that_looks_like_a_draft_holds_up_nothing(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / ".latchkey-x.partial")
    code = f"""
from pathlib import Path
from operations.backups.archive import replacing
with replacing(Path({str(tmp_path)!r}) / "backup") as file:
    file.write(b"whole")
"""

    subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=10, check=True)

    assert (tmp_path / "backup").read_bytes() == b"whole"


def test_a_backup_may_be_read_by_its_owner_alone_and_replaces_the_one_before(
    originals: dict[str, Latchkey], file: Path
) -> None:
    file.write_text("the one before")
    file.chmod(0o644)

    backup(originals["sqlite"], file)

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]
    Reader(file).check()


@pytest.fixture(scope="module")
def sealed(originals: dict[str, Latchkey], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup with secrets."""
    path = tmp_path_factory.mktemp("sealed") / "backup"
    lines = f"{PASSPHRASE}\n"
    done = originals["sqlite"].manage("backup", str(path), "--with-secrets", lines=lines)
    assert done.returncode == 0, done.stderr
    assert "secrets included" in done.stdout
    return path


class TestSecrets:
    """Peppers and SECRET_KEY leave an installation only on request, and encrypted."""

    def test_they_are_restored_with_the_passphrase(
        self, originals: dict[str, Latchkey], place: Place, file: Path, tmp_path: Path
    ) -> None:
        original, restored = originals["sqlite"], place("sqlite", is_migrated=True)
        key = original.create_key()["key"]
        words = tmp_path / "words"
        words.write_text(PASSPHRASE + "\n")
        backup(original, file, "--with-secrets", "--passphrase-file", str(words))

        done = restored.manage("restore", str(file), "--verify", lines=f"{PASSPHRASE}\n{key}\n")

        assert done.returncode == 0, done.stderr
        assert "authenticates" in done.stdout
        for name in ("peppers", "secret_key"):
            path = restored.folder / name
            assert path.read_text() == (original.folder / name).read_text()
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            assert path.read_text().strip().rpartition(":")[2] not in done.stdout + done.stderr

    def test_those_that_were_there_are_kept_aside(
        self, originals: dict[str, Latchkey], place: Place, sealed: Path
    ) -> None:
        restored = place("sqlite", is_migrated=True)
        assert restored.manage("list_api_keys").returncode == 0
        before = (restored.folder / "peppers").read_text()

        done = restored.manage("restore", str(sealed), lines=f"{PASSPHRASE}\n")

        assert done.returncode == 0, done.stderr
        (aside,) = restored.folder.glob("peppers.*")
        assert aside.read_text() == before
        assert aside.name in done.stderr

    def test_a_wrong_passphrase_is_named(self, place: Place, sealed: Path) -> None:
        restored = place("sqlite")

        done = restored.manage("restore", str(sealed), lines="another passphrase\n")

        assert done.returncode == 2
        assert "The passphrase does not open the secrets of this backup. Give" in done.stderr
        assert not sql(restored, "SELECT name FROM sqlite_master")

    def test_none_is_asked_for_without_secrets(
        self, originals: dict[str, Latchkey], place: Place, sealed: Path
    ) -> None:
        restored = place("sqlite", like=originals["sqlite"], is_migrated=True)

        done = restored.manage("restore", str(sealed), "--without-secrets")

        assert (done.returncode, done.stderr) == (0, "")

    def test_a_short_passphrase_is_refused(
        self, originals: dict[str, Latchkey], file: Path
    ) -> None:
        done = originals["sqlite"].manage("backup", str(file), "--with-secrets", lines="short\n")

        assert done.returncode == 2
        assert "The passphrase is shorter than 12 characters." in done.stderr
        assert not file.exists()

    def test_those_of_the_environment_are_not_shadowed(self, place: Place, sealed: Path) -> None:
        restored = place("sqlite")
        restored.environment["API_KEY_PEPPERS"] = f"1:{'ab' * 32}"

        done = restored.manage("restore", str(sealed), lines=f"{PASSPHRASE}\n")

        assert done.returncode == 2
        assert "API_KEY_PEPPERS is set, to other peppers than those of the backup." in done.stderr
        assert not sql(restored, "SELECT name FROM sqlite_master")


@pytest.mark.parametrize("name", ["peppers", "secret_key"])
def test_secrets_are_nowhere_in_a_backup_in_plain(
    name: str, originals: dict[str, Latchkey], sealed: Path, backups: dict[str, Path]
) -> None:
    value = (originals["sqlite"].folder / name).read_text().strip().rpartition(":")[2]

    for path in (sealed, backups["sqlite"]):
        archive = Reader(path)
        held = [json.dumps(archive.manifest).encode()]
        held += [block for table in archive.tables for block in archive.blocks(table)]
        assert value.encode() not in b"".join(held)


@pytest.fixture(scope="module")
def key(originals: dict[str, Latchkey]) -> Any:
    """A key that is in the backup."""
    return originals["sqlite"].create_key()


@pytest.fixture(scope="module")
def saved(
    key: Any, originals: dict[str, Latchkey], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The backup."""
    path = tmp_path_factory.mktemp("saved") / "backup"
    backup(originals["sqlite"], path)
    return path


class TestVerify:
    """``restore --verify`` says whether the keys will work."""

    @pytest.mark.parametrize(
        ("peppers", "complaint"),
        [
            (f"1:{'ab' * 32}", "API_KEY_PEPPERS gives pepper 1 another value than"),
            (f"2:{'ab' * 32}", "API_KEY_PEPPERS lacks pepper 1, under which"),
        ],
    )
    def test_a_wrong_pepper_is_named_before_anything_is_changed(
        self, peppers: str, complaint: str, place: Place, saved: Path
    ) -> None:
        restored = place("sqlite")
        restored.environment["API_KEY_PEPPERS"] = peppers

        done = restored.manage("restore", str(saved), "--verify")

        assert done.returncode == 2
        assert complaint in done.stderr
        assert len(done.stderr.splitlines()) == 1
        assert not sql(restored, "SELECT name FROM sqlite_master")

    def test_a_credential_that_does_not_match_is_named(
        self, key: Any, originals: dict[str, Latchkey], place: Place, saved: Path
    ) -> None:
        restored = place("sqlite", like=originals["sqlite"], is_migrated=True)
        later = originals["sqlite"].manage("regenerate_api_key", key["id"], "--json")
        credential = json.loads(later.stdout)["key"]

        done = restored.manage("restore", str(saved), "--verify", lines=f"{credential}\n")

        assert done.returncode == 3
        assert f"The secret of {key['id']} does not match." in done.stderr
        assert credential not in done.stdout + done.stderr

    def test_an_altered_audit_trail_is_named(self, place: Place, file: Path) -> None:
        original = place("sqlite", is_filled=True)
        sql(original, "UPDATE audit_event SET reason = 'forged' WHERE id ="
            " (SELECT event_id FROM audit_seal WHERE sequence = 5)")  # fmt: skip
        backup(original, file)

        done = place("sqlite", like=original, is_migrated=True).manage(
            "restore", str(file), "--verify"
        )

        assert done.returncode == 3
        assert "Event 5 of the audit trail was altered" in done.stderr


def test_writes_go_on_and_none_is_half_in_the_backup(place: Place, file: Path) -> None:
    """Covered at length, with a hundred writes a second, in tests/promises."""
    product = place("sqlite", is_filled=True)
    with closing(sqlite3.connect(product.folder / "latchkey.sqlite3")) as other:
        other.execute("BEGIN IMMEDIATE")
        other.execute("UPDATE customers_customer SET name = 'not committed'")

        backup(product, file)

        other.rollback()
    assert "not committed" not in repr(contents(file)["customers_customer"])
