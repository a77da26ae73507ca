"""``manage.py write_docs``: write the tables of the documents from the code that they describe.

A table stands between ``<!-- table: name -->`` and ``<!-- end -->``.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings
from django.core.management import get_commands, load_command_class
from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
)

from apikeys.permissions import Permission
from apikeys.problem_codes import CODES
from config.management.licenses import licenses
from config.settings import BASE_DIR, variables
from config.urls import endpoints
from jobs.registry import job_types
from metrics.exposition import families

TABLE = re.compile(r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)
DJANGO_OPTIONS = DjangoHelpFormatter.show_last | {"--help"}


class Command(BaseCommand):
    """Writes the tables of the documents."""

    help = "Write the tables of docs/*.md, and .env.example."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")

    def handle(self, *args: Any, **options: Any) -> None:
        stale = {path: text for path, text in _documents() if path.read_text() != text}
        if stale and options["check"]:
            names = ", ".join(path.name for path in stale)
            raise CommandError(f"The code says otherwise than {names}. Run make docs.")
        for path, text in stale.items():
            path.write_text(text)


def _documents() -> Iterator[tuple[Path, str]]:
    for path in sorted((settings.BASE_DIR / "docs").glob("*.md")):
        yield (
            path,
            TABLE.sub(lambda table: table[1] + TABLES[table[2]]() + table[3], path.read_text()),
        )
    lines = (
        f"\n# {meaning.replace('`', '')}\n#{name}={'' if ' ' in default else default}\n"
        for name, default, meaning in variables.documented
    )
    head = "# Copy to .env, next to manage.py. Every line is optional.\n"
    yield settings.BASE_DIR / ".env.example", head + "".join(lines)


def _settings() -> str:
    return _table(
        ("variable", "default", "meaning"),
        (
            (_code(name), default if " " in default else _code(default), meaning)
            for name, default, meaning in variables.documented
        ),
    )


def _errors() -> str:
    return _table(
        ("status", "code", "title", "what to do"),
        ((str(kind.status), _code(code), kind.title, kind.advice) for code, kind in CODES.items()),
    )


def _permissions() -> str:
    needed: dict[str, list[str]] = {}
    for pattern in endpoints:
        for method, operation in pattern.callback.view_class.operations.items():
            if method != "HEAD":
                needed.setdefault(operation.permission, []).append(operation.summary.lower())
    return _table(
        ("permission", "name", "endpoints"),
        ((_code(code), code.label, ", ".join(needed.get(code, ()))) for code in Permission),
    )


def _commands() -> str:
    own = {app.name for app in apps.get_app_configs() if Path(app.path).parent == BASE_DIR}
    commands = {name: app for name, app in sorted(get_commands().items()) if app in own}
    loaded = {name: load_command_class(app, name) for name, app in commands.items()}
    return _table(
        ("command", "arguments", "what it does"),
        ((_code(name), _arguments(command), command.help) for name, command in loaded.items()),
    )


def _arguments(command: BaseCommand) -> str:
    actions = command.create_parser("manage.py", "")._actions
    names = [(action.option_strings or [action.dest.upper()])[-1] for action in actions]
    return " ".join(_code(name) for name in names if name not in DJANGO_OPTIONS)


def _job_types() -> str:
    own = [kind for kind in job_types().values() if kind.run.__module__.startswith("jobs.types.")]
    return _table(
        ("type", "parameters", "permissions besides `jobs:run`", "what it does"),
        (
            (
                _code(kind.name),
                " ".join(map(_code, kind.params().fields)),
                " ".join(map(_code, kind.permissions)),
                kind.summary,
            )
            # A module's types stand together, whichever module was imported first.
            for kind in sorted(own, key=lambda kind: kind.run.__module__)
        ),
    )


def _licenses() -> str:
    return _table(
        ("package", "version", "license"),
        (
            (row.package, row.version, row.license)
            for row in licenses(BASE_DIR / "requirements.lock")
        ),
    )


def _metrics() -> str:
    return _table(
        ("metric", "type", "labels", "what it says"),
        (
            (_code(one.name), one.kind, " ".join(map(_code, one.labels)), one.meaning)
            for one in families()
        ),
    )


def _code(text: str) -> str:
    return f"`{text}`" if text else ""


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


TABLES: dict[str, Callable[[], str]] = {
    "settings": _settings,
    "errors": _errors,
    "metrics": _metrics,
    "permissions": _permissions,
    "commands": _commands,
    "job_types": _job_types,
    "licenses": _licenses,
}
