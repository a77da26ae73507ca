"""``manage.py create_permission``: add a custom permission to the catalogue."""

import json
from typing import Any

from django.core.management.base import CommandParser

from apikeys import catalogue
from apikeys.management.arguments import add_json
from apikeys.management.base_command import LineCommand, actor
from gateway.management.permission_rows import permission_rows


class Command(LineCommand):
    """Creates a permission."""

    help = "Create a permission, for the rules of services and for keys."
    examples = ('create_permission orders:read --label "Order Read"',)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("code", help="resource:action, such as orders:read")
        parser.add_argument(
            "--label", required=True, metavar="L", help="what people read, as Order Read"
        )
        parser.add_argument(
            "--description", default="", metavar="D", help="what it allows, in a sentence"
        )
        add_json(parser)

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
