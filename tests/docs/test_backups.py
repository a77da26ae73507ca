"""The commands of the operating guide's part on backups do what it says of them."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.docs.test_docs import blocks
from tests.support.product import ROOT, Latchkey


@pytest.fixture
def product(tmp_path: Path) -> Latchkey:
    """One whose database is there, with nobody serving it."""
    made = Latchkey(LATCHKEY_VAR=str(tmp_path / "var"))
    assert made.manage("migrate").returncode == 0
    return made


def run_documented(line: str, product: Latchkey, folder: Path) -> str:
    """Run a line of the guide in ``folder``; return what it prints."""
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
    key = product.create_key()
    backup, export, folder, restore, search = blocks("docs/operating.md", "bash")
    (tmp_path / "known-key").write_text(key["key"] + "\n")

    run_documented(backup, product, tmp_path)
    assert product.manage("revoke_api_key", key["id"], "--reason", "Lost").returncode == 0
    run_documented(export, product, tmp_path)
    run_documented(folder, product, tmp_path)
    told = run_documented(restore, product, tmp_path)
    drill = {"LATCHKEY_VAR": str(tmp_path / "drill")}
    shown = json.loads(product.manage("show_api_key", key["id"], "--json", **drill).stdout)
    revoked = [json.loads(line) for line in run_documented(search, product, tmp_path).splitlines()]

    assert f"Key {key['id']} (Test) authenticates." in told
    assert shown["status"] == "active"
    assert [(event["key"], event["reason"]) for event in revoked] == [(key["id"], "Lost")]


def test_the_line_for_cron_makes_a_backup_and_removes_old_ones(
    product: Latchkey, tmp_path: Path
) -> None:
    _, line = blocks("docs/operating.md", "cron")
    *_, command = line.split(None, 5)
    # As cron does, before a shell sees it.
    command = command.replace("\\%", "%").replace("/backup", str(tmp_path / "kept"))
    (tmp_path / "kept").mkdir()
    old = tmp_path / "kept" / "latchkey-2020-01-01"
    old.touch()
    os.utime(old, (0, 0))

    run_documented(command.replace("cd /opt/latchkey && ", ""), product, tmp_path)

    (made,) = (tmp_path / "kept").iterdir()
    assert made.name.startswith("latchkey-20")
    assert made.stat().st_size > 1000


def test_the_line_for_cron_prints_findings_alone(product: Latchkey, tmp_path: Path) -> None:
    line, _ = blocks("docs/operating.md", "cron")
    *_, command = line.split(None, 5)
    command = command.replace("/tmp/", f"{tmp_path}/").replace(  # noqa: S108
        "cd /opt/latchkey && ", ""
    )

    printed = run_documented(command, product, tmp_path)

    assert printed.startswith("worker ")
    assert len(printed.splitlines()) == 1
