"""``manage.py activate_api_key``: undo a revoke."""

from typing import Any

from django.core.management.base import CommandParser

from apikeys import lifecycle
from apikeys.management.arguments import add_key_id
from apikeys.management.base_command import KeyCommand, actor


class Command(KeyCommand):
    """Undoes a revoke."""

    help = "Activate an API key that was revoked."
    examples = ("activate_api_key 4kQ9zTfB2mXe",)

    def add_arguments(self, parser: CommandParser) -> None:
        add_key_id(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        key = self.find(options["key_id"])
        event = lifecycle.activate(key, actor=actor())
        self.stdout.write(f"{key} is activated." if event else f"{key} was not revoked.")
