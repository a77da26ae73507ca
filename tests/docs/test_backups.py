"""The commands of the operating guide's part on backups do what it says of them."""

import json
import re
import sqlite3
import subprocess
from contextlib import chdir, closing
from pathlib import Path

import pytest

from tests.docs.test_docs import blocks
from tests.support.product import ROOT, Latchkey

SQLITE = re.compile(r"sqlite3 (\S+) \"(.+)\"")


@pytest.fixture
def product(tmp_path: Path) -> Latchkey:
    """One whose database is there, with nobody serving it."""
    made = Latchkey(LATCHKEY_VAR=str(tmp_path / "var"))
    assert made.manage("migrate").returncode == 0
    return made


def run_documented(line: str, product: Latchkey, folder: Path) -> str:
    """Run a line of the guide in ``folder``; return what it prints."""
    if sql := SQLITE.fullmatch(line):
        # As ``sqlite3`` does, which need not be installed where tests run.
        with chdir(folder), closing(sqlite3.connect(sql[1])) as connection:
            return str(connection.execute(sql[2]).fetchall())
    python = ROOT / ".venv" / "bin" / "python"
    line = line.replace(".venv/bin/python manage.py", f"{python} {ROOT / 'manage.py'}")
    done = subprocess.run(
        ["sh", "-c", line], cwd=folder, env=product.environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_restore_brings_back_a_revoked_key_and_the_kept_events_tell_which(
    product: Latchkey, tmp_path: Path
) -> None:
    key, other = product.create_key(), product.create_key()
    copy, check, export, search = blocks("docs/operating.md", "bash")

    run_documented(copy, product, tmp_path)
    assert product.manage("revoke_api_key", key["id"], "--reason", "Lost").returncode == 0
    run_documented(export, product, tmp_path)
    checked = run_documented(check, product, tmp_path)
    restored = {"DATABASE_URL": f"sqlite:///{tmp_path / 'copy.sqlite3'}"}
    shown = json.loads(product.manage("show_api_key", key["id"], "--json", **restored).stdout)
    revoked = [json.loads(line) for line in run_documented(search, product, tmp_path).splitlines()]

    assert checked == "[('ok',)]"
    assert shown["status"] == "active"
    assert [(event["key"], event["reason"]) for event in revoked] == [(key["id"], "Lost")]
    assert other["id"] != key["id"]
