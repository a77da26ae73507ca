"""``manage.py create_permission``: add a custom permission to the catalogue."""

import json
from typing import Any

from django.core.management.base import CommandParser

from apikeys import catalogue
from apikeys.management.base_command import LineCommand, actor
from gateway.management.permission_rows import permission_rows


class Command(LineCommand):
    """Creates a permission."""

    help = "Create a permission, for the rules of services and for keys."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("code", help="resource:action, such as orders:read")
        parser.add_argument("--label", required=True, metavar="L")
        parser.add_argument("--description", default="", metavar="D")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        permission = catalogue.create(
            options["code"],
            actor=actor(),
            label=options["label"],
            description=options["description"],
        )
        if options["json"]:
            (row,) = permission_rows({permission.code: permission.label})
            self.stdout.write(json.dumps(row))
        else:
            self.stdout.write(f"{permission} is created.")
