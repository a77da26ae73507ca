"""``manage.py delete_permission``: remove a custom permission that nothing uses."""

import json
from typing import Any

from django.core.management.base import CommandParser

from apikeys import catalogue
from apikeys.management.base_command import LineCommand, actor


class Command(LineCommand):
    """Deletes a permission."""

    help = "Delete a permission that no key holds and no rule names. Its history stays."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("code")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        permission = catalogue.find(options["code"])
        was_there = catalogue.delete(permission, actor=actor())
        if options["json"]:
            self.stdout.write(json.dumps({"code": permission.code, "deleted": was_there}))
        else:
            done = "is deleted" if was_there else "was deleted"
            self.stdout.write(f"{permission} {done}.")
