"""``manage.py list_permissions``: a table of the catalogue, or JSON."""

import json
import sys
from typing import Any

from django.core.management.base import CommandParser
from rich.table import Table

from apikeys import catalogue
from apikeys.management.arguments import add_json
from apikeys.management.base_command import LineCommand, console
from database.text import escaped
from gateway.management.permission_rows import permission_rows


class Command(LineCommand):
    """Lists permissions."""

    help = "List the permissions, those built in first, and what uses them."
    examples = ("list_permissions --json",)

    def add_arguments(self, parser: CommandParser) -> None:
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        permissions = permission_rows(dict(catalogue.choices()))
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
