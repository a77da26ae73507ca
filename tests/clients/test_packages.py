"""The packages are built from what is in the repository, and hold what they should."""

import json
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from apikeys.limits import WINDOWS
from apikeys.problem_codes import CODES
from tests.clients.conftest import PYTHON, TYPESCRIPT
from tests.support.services import program

pytestmark = pytest.mark.client


def test_the_python_package_holds_its_modules_and_types(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), PYTHON]
    subprocess.run(build, check=True, capture_output=True)

    [wheel] = tmp_path.glob("latchkey_guard-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    modules = {
        f"latchkey_guard/{path.name}" for path in (PYTHON / "src/latchkey_guard").glob("*.py*")
    }
    assert modules <= set(names)
    assert "latchkey_guard/py.typed" in names
    assert not [name for name in names if "test" in name]


def test_the_typescript_package_holds_what_its_exports_name(
    typescript: Path, tmp_path: Path
) -> None:
    pack = [program("npm"), "pack", "--ignore-scripts", "--pack-destination", str(tmp_path)]
    subprocess.run(pack, cwd=typescript, check=True, capture_output=True)

    [packed] = tmp_path.glob("latchkey-guard-*.tgz")
    with tarfile.open(packed) as archive:
        names = archive.getnames()
    exports = json.loads((typescript / "package.json").read_text())["exports"]
    files = {file for export in exports.values() for file in export.values()}
    assert {f"package/{file.removeprefix('./')}" for file in files} <= set(names)
    assert not [name for name in names if "test" in name or "node_modules" in name]


def test_the_middlewares_fit_the_types_of_their_frameworks(typescript: Path) -> None:
    check = ["node_modules/.bin/tsc", "--project", "tsconfig.tests.json"]

    assert subprocess.run(check, cwd=typescript, capture_output=True).stdout == b""


def test_a_client_needs_nothing_but_what_it_says() -> None:
    python = tomllib.loads((PYTHON / "pyproject.toml").read_text())["project"]
    typescript = json.loads((TYPESCRIPT / "package.json").read_text())

    assert python["dependencies"] == ["httpx>=0.27,<1"]
    assert "dependencies" not in typescript
    assert python["version"] == typescript["version"]


@pytest.mark.parametrize("client", [PYTHON / "src/latchkey_guard", TYPESCRIPT / "src"])
def test_titles_and_windows_are_those_of_latchkey(client: Path) -> None:
    source = next(client.glob("decision.*")).read_text().replace("_", "")
    read = (line.strip().rstrip(",").replace('"', "") for line in source.splitlines())
    titles = dict(line.split(": ", 1) for line in read if ": " in line)

    for code in ("key_missing", "permission_denied", "rate_limited", "no_rule", "unavailable"):
        assert titles[code.replace("_", "")] == CODES[code].title
    for window in WINDOWS:
        assert f"{window.name}" in source
        assert str(window.seconds) in source
