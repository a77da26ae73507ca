"""What the documents say is so: their commands run, their tables are complete."""

import re
import shlex
import subprocess
from pathlib import Path

import pytest
from django.core.management import call_command

from apikeys.guard.problems import CODES
from tests.support.factories import issue
from tests.support.product import ROOT, Latchkey

VARIABLE = re.compile(r"^\| `[^|]+\|", re.MULTILINE)
NAME = re.compile(r"`([A-Z_]+)`")


def read(name: str) -> str:
    return (ROOT / name).read_text()


def blocks(name: str, language: str) -> list[str]:
    """Return the lines of a document's code blocks of one language."""
    found = re.findall(rf"```{language}\n(.*?)```", read(name), re.DOTALL)
    return [line for block in found for line in block.splitlines() if line.strip()]


def variables_read() -> set[str]:
    """Return the environment variables that the settings read."""
    source = read("config/settings.py")
    names = set(re.findall(r"variables\.\w+\(\s*\"([A-Z_]+)\"", source))
    return (
        names
        | {f"DEFAULT_LIMITS_{name}" for name in ("PRODUCTION", "STAGING", "DEVELOPMENT")}
        | {"LATCHKEY_ADMIN_PASSWORD"}
    )


def test_every_error_code_is_documented_with_its_status() -> None:
    rows = re.findall(r"^\| (\d{3}) \| `(\w+)` \|", read("docs/errors.md"), re.MULTILINE)

    assert {code: int(status) for status, code in rows} == {
        code: status for code, (status, _) in CODES.items()
    }


def test_every_setting_is_documented() -> None:
    rows = VARIABLE.findall(read("docs/operating.md"))
    documented = {name for row in rows for name in NAME.findall(row)}

    assert documented == variables_read()


def test_the_example_of_an_env_file_names_every_setting() -> None:
    named = set(re.findall(r"^#([A-Z_]+)=", read(".env.example"), re.MULTILINE))

    assert named == variables_read() - {"LATCHKEY_ADMIN_PASSWORD"}


def test_the_readme_is_short_and_begins_with_the_two_commands() -> None:
    lines = read("README.md").splitlines()

    assert len(lines) < 200
    assert [line.partition("#")[0].strip() for line in blocks("README.md", "sh")[:2]] == [
        "make run",
        "make test",
    ]


@pytest.mark.parametrize(
    "document", ["README.md", *sorted(p.name for p in (ROOT / "docs").glob("*.md"))]
)
def test_what_a_document_points_to_is_there(document: str) -> None:
    path = ROOT / document if document == "README.md" else ROOT / "docs" / document
    text = path.read_text()
    links = re.findall(r"\]\(([^)#]+)\)", text)
    named = re.findall(
        r"`((?:apikeys|config|customers|jobs|logs|tests|docs|benchmarks)/[\w./]+)`", text
    )

    local = [path.parent / link for link in links if "://" not in link]
    missing = [str(p) for p in [*local, *(ROOT / name for name in named)] if not Path(p).exists()]
    assert not missing


@pytest.mark.django_db
def test_the_documented_commands_run(capsys: pytest.CaptureFixture[str]) -> None:
    key = issue().key
    lines = [
        line
        for document in ("README.md", "docs/operating.md")
        for line in blocks(document, "sh")
        if "manage.py " in line and not line.endswith(("migrate", "createsuperuser", "serve"))
    ]

    assert len(lines) >= 8
    for line in lines:
        _, _, arguments = line.partition("manage.py ")
        call_command(*shlex.split(arguments.replace("KEY_ID", key.pk)))
    assert key.pk in capsys.readouterr().out


def test_the_curl_line_of_the_readme_answers(latchkey: Latchkey) -> None:
    made = latchkey.create_key(environment="development")
    (line,) = [line for line in blocks("README.md", "sh") if line.startswith("curl ")]
    line = line.replace("http://127.0.0.1:8000", latchkey.url)

    done = subprocess.run(
        ["sh", "-c", f"{line} --silent --fail"],
        env={"KEY": made["key"], "PATH": latchkey.environment["PATH"]},
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0
    assert made["id"] in done.stdout
