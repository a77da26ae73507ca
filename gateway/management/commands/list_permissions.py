"""``manage.py list_permissions``: a table of the catalogue, or JSON."""

import json
import sys
from typing import Any

from django.core.management.base import CommandParser
from rich.table import Table

from apikeys import catalogue
from apikeys.management.base_command import LineCommand, console
from apikeys.permissions import BUILT_IN
from database.text import escaped


class Command(LineCommand):
    """Lists permissions."""

    help = "List the permissions, those built in first, and what uses them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        permissions = _permissions()
        if options["json"]:
            self.stdout.write(json.dumps(permissions))
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("Code", "Label", "Built in", "Keys", "Services"):
            table.add_column(title, overflow="fold")
        for permission in permissions:
            table.add_row(
                permission["code"],
                escaped(permission["label"]),
                "yes" if permission["built_in"] else "no",
                str(permission["keys"]),
                ", ".join(permission["services"]),
            )
        console(sys.stdout).print(table)


def _permissions() -> list[dict[str, Any]]:
    descriptions = dict(catalogue.custom().values_list("code", "description"))
    choices = dict(catalogue.choices())
    uses = catalogue.uses(choices)
    return [
        {
            "code": code,
            "label": label,
            "description": descriptions.get(code, ""),
            "built_in": code in BUILT_IN,
            **uses[code]._asdict(),
        }
        for code, label in choices.items()
    ]
