"""The locks: what is installed is what the requirements name, by its hashes, from any index."""

import re
from collections import ChainMap
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.product import ROOT

PINNED = re.compile(r"([A-Za-z0-9._-]+)(?:\[[\w,-]+\])?==([\w.]+)")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\Z")
PAIRS = [
    ("requirements.txt", "requirements.lock"),
    ("requirements-otel.txt", "requirements-otel.lock"),
    ("requirements-clickhouse.txt", "requirements-clickhouse.lock"),
    ("requirements-dev.txt", "requirements-dev.lock"),
    ("requirements-chdb.txt", "requirements-chdb.lock"),
]


class Locked(NamedTuple):
    """A package of a lock: its version, and the rest of its entry."""

    version: str
    hashes: list[str]
    named_by: set[str]


def normal(name: str) -> str:
    """Return the name as indexes compare it (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def required(path: Path) -> dict[str, str]:
    """Return the versions that a file of requirements pins, and no line that pins none."""
    lines = [line.strip() for line in path.read_text().splitlines()]
    pins = [line for line in lines if line and not line.startswith(("#", "-r "))]
    matches = [PINNED.fullmatch(line) for line in pins]
    assert all(matches), f"{path.name} holds a line that pins no version"
    return {normal(match[1]): match[2] for match in matches if match}


def locked(path: Path) -> dict[str, Locked]:
    """Return the packages of a lock, each an unindented line with what follows it indented."""
    packages: dict[str, Locked] = {}
    for entry in re.split(r"\n(?=\w)", path.read_text())[1:]:
        head, *rest = (line.strip().removesuffix(" \\") for line in entry.splitlines())
        match = PINNED.match(head)
        assert match, f"{path.name} holds {head!r}"
        hashes = [line for line in rest if line.startswith("--hash")]
        named_by = {line.lstrip("# ").removeprefix("via ") for line in rest if line[0] == "#"}
        packages[normal(match[1])] = Locked(match[2], hashes, named_by - {"via"})
    return packages


@pytest.mark.parametrize(("requirements", "lock"), PAIRS)
def test_a_lock_has_the_versions_that_the_requirements_pin(requirements: str, lock: str) -> None:
    packages = locked(ROOT / lock)

    named = {
        name: package.version
        for name, package in packages.items()
        if f"-r {requirements}" in package.named_by
    }
    assert named == required(ROOT / requirements), "Run make lock"


@pytest.mark.parametrize("lock", [lock for _, lock in PAIRS])
def test_every_package_of_a_lock_has_its_hashes_and_is_needed(lock: str) -> None:
    packages = locked(ROOT / lock)

    assert packages
    for name, package in packages.items():
        assert package.hashes, name
        assert all(HASH.fullmatch(line) for line in package.hashes), name
        dependants = {normal(who) for who in package.named_by if not who.startswith(("-r", "-c"))}
        assert package.named_by, name
        assert dependants <= set(packages), name


def test_tests_run_with_the_packages_that_the_product_runs_with() -> None:
    *product, tests, engine = (locked(ROOT / lock) for _, lock in PAIRS)

    for name, package in ChainMap(*product).items():
        assert tests[name][:2] == package[:2], f"{name} differs. Run make lock"
    for name in set(engine) & set(tests):
        assert engine[name][:2] == tests[name][:2], f"{name} differs. Run make lock"


@pytest.mark.parametrize("lock", [lock for _, lock in PAIRS])
def test_a_lock_names_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text()

    for word in ("://", "--index-url", "--extra-index-url", "--find-links"):
        assert word not in text


def test_what_make_installs_is_compared_with_hashes() -> None:
    installs = [
        line for line in (ROOT / "Makefile").read_text().splitlines() if "pip install" in line
    ]
    # uv makes the locks, so it cannot wait for one.
    unchecked = [line for line in installs if "grep '^uv==' requirements-dev.txt" not in line]

    assert len(unchecked) == len(installs) - 1
    assert all("--require-hashes" in line and ".lock" in line for line in unchecked)
