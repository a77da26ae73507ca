"""Each recipe of CONTRIBUTING.md is followed, word for word, in a copy of the project."""

import os
import re
import shutil
import subprocess
import sys
from filecmp import cmp
from pathlib import Path

import pytest

from tests.support.product import ROOT

SECTION = re.compile(r"^## (Add .+?)\n(.*?)(?=^## |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```(python|diff) (\S+)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
RECIPES = dict(SECTION.findall((ROOT / "CONTRIBUTING.md").read_text()))
COPIED = shutil.ignore_patterns(".*", "__pycache__", "var", "promises", "browser", "docs.pyc")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project as it is."""
    folder = tmp_path_factory.mktemp("original") / "latchkey"
    shutil.copytree(ROOT, folder, ignore=COPIED)
    shutil.copy(ROOT / ".env.example", folder)
    return folder


@pytest.fixture
def project(original: Path, tmp_path: Path) -> Path:
    """A copy to change."""
    return Path(shutil.copytree(original, tmp_path / "latchkey"))


def follow(recipe: str, project: Path) -> list[str]:
    """Make the changes of a recipe; return the files that were changed."""
    blocks = BLOCK.findall(RECIPES[recipe])
    for language, name, text in blocks:
        path = project / name
        if language == "python":
            path.write_text(text)
            continue
        for hunk in re.split(r"^@@\n", text, flags=re.MULTILINE):
            lines = hunk.splitlines(keepends=True)
            before = "".join(line[1:] for line in lines if line[0] != "+")
            after = "".join(line[1:] for line in lines if line[0] != "-")
            content = path.read_text()
            assert content.count(before) == 1, f"{name} does not hold once:\n{before}"
            path.write_text(content.replace(before, after))
    return [name for _, name, _ in blocks]


def run(project: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=project,
        env={"PATH": os.environ["PATH"], "LATCHKEY_VAR": str(project / "var")},
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def changed(project: Path, original: Path) -> set[str]:
    """Return the files that differ, migrations aside."""
    files = [path.relative_to(project) for path in project.rglob("*") if path.is_file()]
    return {
        str(path)
        for path in files
        if not {"migrations", "__pycache__", "var"} & set(path.parts)
        and not ((original / path).exists() and cmp(original / path, project / path, False))
    }


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_short(recipe: str) -> None:
    assert len(BLOCK.sub("", RECIPES[recipe]).strip().splitlines()) < 10


def test_an_endpoint_is_added(project: Path) -> None:
    follow("Add an endpoint", project)

    run(project, "manage.py", "write_docs")
    assert "count licenses" in (project / "docs" / "api.md").read_text()


def test_a_job_type_is_added(project: Path) -> None:
    follow("Add a job type", project)

    run(project, "manage.py", "write_docs")
    assert "| `customers.count` |" in (project / "docs" / "jobs.md").read_text()


def test_a_permission_is_added(project: Path) -> None:
    follow("Add a permission", project)

    run(project, "manage.py", "write_docs")
    assert "No changes" in run(project, "manage.py", "makemigrations", "--check", "--dry-run")
    assert "| `reports:read` | Report Read |" in (project / "docs" / "api.md").read_text()


def test_an_environment_is_added_in_three_files(original: Path, project: Path) -> None:
    follow("Add an environment", project)

    run(project, "manage.py", "makemigrations", "--name", "add_environment")
    run(project, "manage.py", "write_docs")
    assert "No changes" in run(project, "manage.py", "makemigrations", "--check", "--dry-run")
    touched = changed(project, original)
    assert touched == {"apikeys/environments.py", ".env.example", "docs/operating.md"}
    assert "DEFAULT_LIMITS_TESTING" in (project / "docs" / "operating.md").read_text()


def test_a_limit_window_is_added_in_four_files(original: Path, project: Path) -> None:
    follow("Add a limit window", project)

    run(project, "manage.py", "makemigrations", "--name", "add_window")
    run(project, "manage.py", "write_docs")
    source = {"apikeys/limits.py", "apikeys/models/keys.py"}
    assert changed(project, original) == source | {".env.example", "docs/operating.md"}
    assert "`--per-week`" in (project / "docs" / "operating.md").read_text()


PROGRAM = """
import pytest
from django.core.management import call_command
from apikeys.credentials import mask
from audit.models import Event
from tests.jobs.test_types import run
from tests.support.api_client import Caller
from tests.support.factories import issue, make_customer

pytestmark = pytest.mark.django_db

def test_recipe_of_a_job_type():
    make_customer()
    key = issue(permissions=["customers:read"]).key
    assert run("customers.count", key)[0] == {"customers": 1}

def test_recipe_of_a_permission():
    shown = Caller(issue(permissions=["reports:read"])).get("key").json()
    assert shown["permissions"] == ["reports:read"]

def test_recipe_of_an_environment():
    issued = issue(environment="testing")
    assert issued.credential.startswith("lk_test_")
    assert issued.credential not in mask(issued.credential)
    limits = Caller(issued, environment="testing").get("key").json()["limits"]
    assert (limits["minute"], limits["hour"], limits["day"]) == (60, 2_000, 20_000)
    assert Caller(issued).get("key").json()["code"] == "environment_mismatch"

def test_recipe_of_a_limit_window():
    issued = issue(limit_week=5)
    call_command("update_api_key", issued.key.pk, "--per-week", "1")
    assert Event.objects.about(issued.key).first().changes == {"limit per week": [5, 1]}
    caller = Caller(issued)
    assert caller.get("key").json()["remaining"]["week"] == 0
    assert caller.get("key").json()["violated_policies"] == ["week"]
"""
ADDED = (
    "gets_through[GET-licenses/count]",
    "of_a_job_type",
    "of_a_permission",
    "of_an_environment",
    "of_a_limit_window",
)


def test_what_all_recipes_add_works_together(project: Path) -> None:
    for recipe, migration in (
        ("Add an endpoint", ""),
        ("Add a job type", ""),
        ("Add a permission", ""),
        ("Add an environment", "add_environment"),
        ("Add a limit window", "add_window"),
    ):
        follow(recipe, project)
        if migration:
            run(project, "manage.py", "makemigrations", "--name", migration)
    (project / "tests" / "test_recipes.py").write_text(PROGRAM)

    passed = run(
        project, "-m", "pytest", "-vv", "-p", "no:cacheprovider",
        "tests/config/test_routes.py", "tests/test_recipes.py",
        "-k", "covers or declares or licenses/count or recipe",
    )  # fmt: skip

    for name in ADDED:
        assert f"{name} PASSED" in passed
