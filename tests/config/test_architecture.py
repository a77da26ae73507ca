"""The shape of the whole: who may import whom, and what no file may be."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parent.parent.parent
ROOMS = (
    "database",
    "metrics",
    "backoffice",
    "audit",
    "apikeys",
    "people",
    "customers",
    "logs",
    "gateway",
    "explain",
    "jobs",
    "review",
    "handover",
    "provisioning",
    "alerts",
    "operations",
    "config",
)
SHARED = {"database", "backoffice", "audit"}
MAY_IMPORT = {
    "database": set(),
    "metrics": {"database"},
    "backoffice": {"database"},
    "audit": {"database", "backoffice"},
    "apikeys": SHARED | {"metrics"},
    "people": SHARED | {"apikeys"},
    "customers": SHARED | {"apikeys"},
    "logs": SHARED | {"metrics", "apikeys"},
    "gateway": SHARED | {"apikeys", "logs"},
    "explain": SHARED | {"apikeys", "logs", "gateway"},
    "jobs": SHARED | {"metrics", "apikeys", "customers", "logs"},
    "alerts": SHARED | {"apikeys", "logs"},
    "review": SHARED | {"apikeys", "logs"},
    "handover": SHARED | {"apikeys"},
    "provisioning": SHARED | {"apikeys", "customers", "gateway", "handover"},
    "operations": SHARED | {"apikeys", "logs", "jobs"},
    "config": set(ROOMS) - {"config"},
}
MAX_APP_MODULES = 56
MAX_FOLDER_FILES = 16
FORBIDDEN_NAMES = {"utils", "helpers", "common", "core", "services", "base", "misc", "tools"}
# Django loads a database backend by this name.
NAMED_BY_DJANGO = {ROOT / "database/clickhouse/base.py"}


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


# What names a higher app all the same, and why.
HIDDEN_ARROWS = {
    ("apikeys/models/keys.py", "customers.Customer"),  # whom a scoped key reaches
    ("templates/logs/request_page.html", "admin:jobs_job_change"),  # the job of a request
}
NAME = re.compile(r"(?:admin:(?=\w+_)|(?=\w+[./]))(" + "|".join(ROOMS) + ")[._/]")
TAG = re.compile(r"{%-?\s*(?:load|url|include|extends)\s+(.*?)\s*-?%}")


def named_app(text: str) -> str | None:
    """Return the app that a dotted path, a URL name or a template's name begins with."""
    match = NAME.match(text)
    return match.group(1) if match else None


def strings(path: Path) -> Iterator[str]:
    """Return every string of a module but its docstrings."""
    tree = ast.parse(path.read_text())
    statements = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and id(node) not in statements:
            yield str(node.value)


def template_names(app: str) -> set[str]:
    """Return the names of an app's URLs, which templates can ask for."""
    urls = "".join(path.read_text() for path in (ROOT / app).glob("urls.py"))
    return set(re.findall(r'name="([\w-]+)"', urls))


def hidden_arrows(app: str) -> set[tuple[str, str]]:
    strangers = set(ROOMS) - MAY_IMPORT[app] - {app}
    foreign = set().union(*(template_names(stranger) for stranger in strangers))
    arrows = {(path, text) for path in modules(app) for text in strings(path)}
    for path in (ROOT / "templates" / app).rglob("*.html"):
        words = " ".join(TAG.findall(path.read_text()))
        arrows |= {(path, word) for word in re.split(r"[\s\"']+", words)}
    return {
        (str(path.relative_to(ROOT)), text)
        for path, text in arrows
        if named_app(text) in strangers or (path.suffix == ".html" and text in foreign)
    }


def test_an_app_names_only_what_it_may_import() -> None:
    assert set().union(*map(hidden_arrows, ROOMS)) == HIDDEN_ARROWS


def test_the_guard_stands_between_the_request_log_and_the_admin() -> None:
    ours = [named_app(path) for path in settings.MIDDLEWARE if named_app(path)]

    assert list(dict.fromkeys(ours)) == ["logs", "apikeys", "config", "people"]


@pytest.mark.parametrize("app", ROOMS)
def test_a_file_is_named_for_what_it_holds_and_says_so(app: str) -> None:
    for path in modules(app):
        names = {*path.relative_to(ROOT).parent.parts, path.stem}
        assert names.isdisjoint(FORBIDDEN_NAMES) or path in NAMED_BY_DJANGO, path
        assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"


@pytest.mark.parametrize("folder", [*ROOMS, "tests", "benchmarks"])
def test_a_bound_is_named_max_or_min(folder: str) -> None:
    for path in (ROOT / folder).rglob("*.py"):
        found = re.search(r"\b_?(MOST|LONGEST|LEAST|SHORTEST)_\w+", path.read_text())
        assert not found, f"{path}: {found[0]}. Begin the name with MAX_ or MIN_."


def test_no_app_and_no_folder_is_too_large_to_look_through() -> None:
    for app in ROOMS:
        named = [path for path in modules(app) if path.name not in {"__init__.py", "apps.py"}]
        assert len(named) <= MAX_APP_MODULES, f"{app} is full. Move or merge modules."
        for folder in {path.parent for path in modules(app)}:
            files = [path for path in folder.glob("*.py") if path.name != "__init__.py"]
            assert len(files) <= MAX_FOLDER_FILES, f"{folder} is full. Make a package of some."


def test_business_rules_use_no_signals() -> None:
    for app in ROOMS:
        for path in modules(app):
            if path != ROOT / "config" / "apps.py":  # provides the staff roles after migrations
                text = path.read_text()
                assert not re.search(r"models(\.| import .*)signals|@receiver", text), path


def test_no_secret_is_drawn_from_random() -> None:
    for app in ROOMS:
        for path in modules(app):
            tree = ast.parse(path.read_text())
            assert "random" not in {name for node in ast.walk(tree) for name in imported(node)}, (
                path
            )


def test_the_top_level_is_the_agreed_one() -> None:
    folders = {path.parent.name for path in ROOT.glob("[!.]*/*.py")}

    assert folders == {"tests", "benchmarks", *ROOMS}
    assert {"manage.py", "requirements.txt", "templates"} <= {path.name for path in ROOT.iterdir()}


def test_only_a_missing_service_skips_a_test() -> None:
    skips = re.compile(r"pytest\.skip|mark\.skip|importorskip")

    skipping = {
        str(path.relative_to(ROOT))
        for path in (ROOT / "tests").rglob("*.py")
        if path != Path(__file__) and skips.search(path.read_text())
    }

    # There it fails instead where all services must be, as in .ci/run.
    assert skipping == {"tests/support/services.py"}
