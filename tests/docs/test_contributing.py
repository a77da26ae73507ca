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
        timeout=60,
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


def see(project: Path, program: str) -> None:
    """Run the lines of a test in the changed project, which has a database then."""
    head = """
import pytest
from tests.support.api_client import Caller
from tests.support.factories import issue, make_customer
pytestmark = pytest.mark.django_db
def test_it() -> None:
"""
    body = "".join(f"    {line}\n" for line in program.strip().splitlines())
    (project / "tests" / "test_recipe.py").write_text(head + body)
    run(project, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/test_recipe.py")


@pytest.mark.parametrize("recipe", RECIPES)
def test_a_recipe_is_short(recipe: str) -> None:
    assert len(BLOCK.sub("", RECIPES[recipe]).strip().splitlines()) < 10


def test_an_endpoint_is_added(project: Path) -> None:
    follow("Add an endpoint", project)

    run(project, "manage.py", "write_docs")
    wanted = "covers or declares or licenses/count"
    passed = run(project, "-m", "pytest", "-vv", "tests/config/test_routes.py", "-k", wanted)
    assert "gets_through[GET-licenses/count] PASSED" in passed
    assert "count licenses" in (project / "docs" / "api.md").read_text()


def test_a_job_type_is_added(project: Path) -> None:
    follow("Add a job type", project)

    run(project, "manage.py", "write_docs")
    see(
        project,
        """
from tests.jobs.test_types import run
make_customer()
key = issue(permissions=["customers:read"]).key
assert run("customers.count", key)[0] == {"customers": 1}
""",
    )
    assert "| `customers.count` |" in (project / "docs" / "jobs.md").read_text()


def test_a_permission_is_added(project: Path) -> None:
    follow("Add a permission", project)

    run(project, "manage.py", "write_docs")
    assert "No changes" in run(project, "manage.py", "makemigrations", "--check", "--dry-run")
    see(
        project,
        """
shown = Caller(issue(permissions=["reports:read"])).get("key").json()
assert shown["permissions"] == ["reports:read"]
""",
    )
    assert "| `reports:read` | Report Read |" in (project / "docs" / "api.md").read_text()


def test_an_environment_is_added_in_three_files(original: Path, project: Path) -> None:
    follow("Add an environment", project)

    run(project, "manage.py", "makemigrations", "--name", "add_environment")
    run(project, "manage.py", "write_docs")
    assert "No changes" in run(project, "manage.py", "makemigrations", "--check", "--dry-run")
    touched = changed(project, original)
    assert touched == {"apikeys/environments.py", ".env.example", "docs/operating.md"}
    see(
        project,
        """
from apikeys.credentials import mask
issued = issue(environment="testing")
assert issued.credential.startswith("lk_test_")
assert issued.credential not in mask(issued.credential)
caller = Caller(issued, environment="testing")
assert caller.get("key").json()["limits"] == {"minute": 60, "hour": 2_000, "day": 20_000}
assert Caller(issued).get("key").json()["code"] == "environment_mismatch"
""",
    )
    assert "DEFAULT_LIMITS_TESTING" in (project / "docs" / "operating.md").read_text()


def test_a_limit_window_is_added_in_four_files(original: Path, project: Path) -> None:
    follow("Add a limit window", project)

    run(project, "manage.py", "makemigrations", "--name", "add_window")
    run(project, "manage.py", "write_docs")
    source = {"apikeys/limits.py", "apikeys/models/keys.py"}
    assert changed(project, original) == source | {".env.example", "docs/operating.md"}
    see(
        project,
        """
from django.core.management import call_command
issued = issue(limit_week=5)
call_command("update_api_key", issued.key.pk, "--per-week", "1")
assert issued.key.events.first().changes == {"limit per week": [5, 1]}
caller = Caller(issued)
assert caller.get("key").json()["remaining"]["week"] == 0
assert caller.get("key").json()["violated_policies"] == ["week"]
""",
    )
    assert "`--per-week`" in (project / "docs" / "operating.md").read_text()
