"""The version: one home, and shown wherever somebody asks which one runs."""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.test import Client

from config.management.licenses import licenses
from tests.support.product import ROOT

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


@pytest.mark.parametrize("arguments", [["--version"], ["version"], ["serve", "--version"]])
def test_the_command_line_says_the_version(arguments: list[str], tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={"LATCHKEY_VAR": str(tmp_path)},
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stdout) == (0, f"Latchkey {VERSION}\n")


@pytest.mark.django_db
def test_health_and_schema_say_the_version() -> None:
    assert Client().get("/readyz").json()["version"] == VERSION
    assert json.loads(Client().get("/api/schema").content)["info"]["version"] == VERSION


@pytest.mark.django_db
def test_the_foot_of_each_page_of_the_admin_says_it_to_staff_alone() -> None:
    client = Client()
    signed_out = client.get("/admin/login/").content.decode()
    client.force_login(User.objects.create_superuser("ada"))

    for page in ("/admin/", "/admin/apikeys/apikey/", "/admin/apikeys/apikey/add/"):
        assert f"Latchkey {VERSION}</p>" in client.get(page).content.decode()
    assert VERSION not in signed_out


def test_the_changelog_begins_with_this_version() -> None:
    versions = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert versions[0] == settings.LATCHKEY_VERSION == VERSION
    assert versions == sorted(versions, key=lambda text: text.split("."), reverse=True)


def test_each_package_has_a_license_and_none_that_forbids_to_ship_it() -> None:
    rows = list(licenses(ROOT / "requirements.lock"))

    assert len(rows) > 30
    for row in rows:
        assert row.license != "not declared", row
        assert not re.search(r"\bA?GPL", row.license), row
