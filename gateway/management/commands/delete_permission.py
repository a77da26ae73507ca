"""``manage.py delete_permission``: remove a custom permission that nothing uses."""

import json
from typing import Any

from django.core.management.base import CommandParser

from apikeys import catalogue
from apikeys.management.arguments import add_json
from apikeys.management.base_command import LineCommand, actor


class Command(LineCommand):
    """Deletes a permission."""

    help = "Delete a permission that no key holds and no rule names. Its history stays."
    examples = ("delete_permission orders:read",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("code", help="resource:action, such as orders:read")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        permission = catalogue.find(options["code"])
        was_there = catalogue.delete(permission, actor=actor())
        if options["json"]:
            self.stdout.write(json.dumps({"code": permission.code, "deleted": was_there}))
        else:
            done = "is deleted" if was_there else "was deleted"
            self.stdout.write(f"{permission} {done}.")
