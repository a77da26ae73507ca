"""The public schema, as linters and TypeScript's compiler of npm judge it.

``make test-schema`` installs them and runs these tests.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from tests.support.services import PATH, program

pytestmark = pytest.mark.npm
HERE = Path(__file__).parent
COPIED = ("example.ts", "tsconfig.json")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the schema as a caller gets it, and the example."""
    program("npm packages")
    made = tmp_path_factory.mktemp("schema")
    response = Client().get("/api/schema")
    (made / "schema.json").write_bytes(response.content)
    for name in COPIED:
        shutil.copy(HERE / name, made)
    (made / "node_modules").symlink_to(HERE / "node_modules")
    return made


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=folder, env=os.environ | {"PATH": PATH}, capture_output=True, text=True
    )


def compile_example(folder: Path, schema: Any) -> subprocess.CompletedProcess[str]:
    """Make types of ``schema`` and compile the example against them."""
    (folder / "typed.json").write_text(json.dumps(schema))
    made = run(folder, "openapi-typescript", "typed.json", "--output", "schema.ts")
    assert made.returncode == 0, made.stderr
    return run(folder, "tsc", "--project", ".")


def test_redocly_finds_nothing(folder: Path) -> None:
    done = run(
        folder, "redocly", "lint", "--extends", "recommended", "--format", "json", "schema.json"
    )

    found = json.loads(done.stdout[done.stdout.index("{") :])
    assert (found["totals"]["errors"], found["totals"]["warnings"]) == (0, 0), found["problems"]
    assert done.returncode == 0


def test_spectral_finds_nothing(folder: Path) -> None:
    ruleset = str(HERE / "spectral.yaml")
    done = run(
        folder, "spectral", "lint", "--ruleset", ruleset, "--fail-severity", "hint", "schema.json"
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_a_strict_client_compiles_against_the_types_of_the_schema(folder: Path) -> None:
    schema = json.loads((folder / "schema.json").read_text())
    done = compile_example(folder, schema)
    schema["components"]["schemas"]["License"]["required"].remove("seats")
    without = compile_example(folder, schema)

    assert done.returncode == 0, done.stdout
    assert "example.ts" in without.stdout
    assert "undefined" in without.stdout
