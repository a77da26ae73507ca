"""The shape of the whole: who may import whom, and what no file may be."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = ("database", "backoffice", "apikeys", "customers", "logs", "jobs", "config")
SHARED = {"database", "backoffice"}
MAY_IMPORT = {
    "database": set(),
    "backoffice": {"database"},
    "apikeys": SHARED,
    "customers": SHARED | {"apikeys"},
    "logs": SHARED | {"apikeys"},
    "jobs": SHARED | {"apikeys", "customers", "logs"},
    "config": SHARED | {"apikeys", "customers", "logs", "jobs"},
}
FORBIDDEN_NAMES = {"utils", "helpers", "common", "core", "services", "base", "misc", "tools"}


def modules(app: str) -> Iterator[Path]:
    return (path for path in (ROOT / app).rglob("*.py") if "migrations" not in path.parts)


def imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    if isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
        return {node.module.partition(".")[0]}
    return set()


@pytest.mark.parametrize("app", ROOMS)
def test_an_app_imports_only_what_it_may(app: str) -> None:
    for path in modules(app):
        for node in ast.walk(ast.parse(path.read_text())):
            strangers = (imported(node) & set(ROOMS)) - MAY_IMPORT[app] - {app}
            assert not strangers, f"{path} imports {strangers}"


@pytest.mark.parametrize("app", ROOMS)
def test_nothing_of_our_own_is_imported_inside_a_function(app: str) -> None:
    for path in modules(app):
        for function in ast.walk(ast.parse(path.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                for node in ast.walk(function):
                    assert not imported(node) & set(ROOMS), f"{path}: {function.name}"


@pytest.mark.parametrize("app", ROOMS)
def test_a_file_is_named_for_what_it_holds_and_says_so(app: str) -> None:
    for path in modules(app):
        assert path.stem not in FORBIDDEN_NAMES, path
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"


def test_business_rules_use_no_signals() -> None:
    for app in ROOMS:
        for path in modules(app):
            if path != ROOT / "config" / "apps.py":  # provides the staff roles after migrations
                assert "django.db.models.signals" not in path.read_text(), path
                assert "@receiver" not in path.read_text(), path


def test_no_secret_is_drawn_from_random() -> None:
    for app in ROOMS:
        for path in modules(app):
            tree = ast.parse(path.read_text())
            assert "random" not in {name for node in ast.walk(tree) for name in imported(node)}, (
                path
            )


def test_the_top_level_is_the_agreed_one() -> None:
    expected = {"manage.py", "requirements.txt", "templates", "tests", *ROOMS}

    assert expected <= {path.name for path in ROOT.iterdir()}
