"""What the documents say is so: their commands run, their tables are those of the code."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from audit import chain
from tests.support.factories import issue, make_request
from tests.support.product import ROOT, Latchkey


def read(name: str) -> str:
    return (ROOT / name).read_text()


def blocks(name: str, language: str) -> list[str]:
    """Return the lines of a document's code blocks of one language."""
    found = re.findall(rf"```{language}\n(.*?)```", read(name), re.DOTALL)
    return [line for block in found for line in block.splitlines() if line.strip()]


@pytest.fixture
def copied(tmp_path: Path, settings: Any) -> Path:
    """The documents, in a folder where they may be changed."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / ".env.example", tmp_path)
    settings.BASE_DIR = tmp_path
    return tmp_path


def test_the_tables_of_the_documents_are_those_of_the_code(copied: Path) -> None:
    call_command("write_docs", "--check")

    assert (
        sum(read(f"docs/{path.name}").count("<!-- table: ") for path in copied.glob("*/*.md")) == 7
    )


@pytest.mark.parametrize(
    ("document", "row"),
    [
        ("docs/operating.md", "| `PORT` | `8000` |"),
        ("docs/operating.md", "| `serve` |"),
        ("docs/errors.md", "| 409 | `conflict` |"),
        ("docs/jobs.md", "| `telemetry.purge` |"),
        ("docs/api.md", "| `logs:read` |"),
        ("docs/licenses.md", "| argon2-cffi | 25"),
        ("docs/monitoring.md", "| `latchkey_keys` | gauge |"),
        (".env.example", "#PORT=8000"),
    ],
)
def test_an_edited_table_is_refused_and_written_anew(copied: Path, document: str, row: str) -> None:
    path = copied / document
    path.write_text(read(document).replace(row, f"{row}0"))

    with pytest.raises(CommandError, match=f"{path.name}. Run make docs"):
        call_command("write_docs", "--check")
    call_command("write_docs")

    assert path.read_text() == read(document)


def test_the_readme_is_short_and_begins_with_the_two_commands() -> None:
    lines = read("README.md").splitlines()

    assert len(lines) < 200
    assert [line.partition("#")[0].strip() for line in blocks("README.md", "sh")[:2]] == [
        "make run",
        "make test",
    ]


@pytest.mark.parametrize(
    "document",
    sorted(str(p.relative_to(ROOT)) for p in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]),
)
def test_what_a_document_points_to_is_there(document: str) -> None:
    path = ROOT / document
    text = path.read_text()
    links = re.findall(r"\]\(([^)#]+)\)", text)
    named = re.findall(
        r"`((?:apikeys|backoffice|config|customers|database|gateway|jobs|logs|tests|docs|benchmarks)/[\w./]+)`",
        text,
    )

    local = [path.parent / link for link in links if "://" not in link]
    missing = [str(p) for p in [*local, *(ROOT / name for name in named)] if not Path(p).exists()]
    assert not missing


# Audit events are sealed at a commit, so there has to be one.
@pytest.mark.django_db(transaction=True)
def test_the_documented_commands_run(capsys: pytest.CaptureFixture[str]) -> None:
    key = issue().key
    request = make_request(key=key)
    lines = [
        line
        for document in ("README.md", "docs/operating.md")
        for line in blocks(document, "sh")
        if "manage.py " in line and not line.endswith(("migrate", "createsuperuser", "serve"))
    ]

    assert len(lines) >= 8
    for line in lines:
        _, _, arguments = line.partition("manage.py ")
        places = {"KEY_ID": key.pk, "REQUEST_ID": request.pk, "SEQUENCE:HASH": chain.head()}
        for place, value in places.items():
            arguments = arguments.replace(place, str(value))
        call_command(*shlex.split(arguments))
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


def test_each_threat_has_a_test_that_exists() -> None:
    _, _, table = read("SECURITY.md").partition("| --- | --- | --- | --- |\n")
    rows = [row.split(" | ") for row in table.partition("\n\n")[0].splitlines()]

    assert len(rows) >= 24
    assert rows[0][0] != "| "
    for *_, threat, defence, test in rows:
        assert threat
        assert defence
        path, _, name = test.strip("| `").partition("::")
        assert f"def {name}(" in read(path), f"{threat}: {name} is not in {path}"
