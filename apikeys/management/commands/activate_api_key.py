"""``manage.py activate_api_key``: undo a revoke."""

from typing import Any

from django.core.management.base import CommandParser

from apikeys import lifecycle
from apikeys.management.base_command import KeyCommand, actor


class Command(KeyCommand):
    """Undoes a revoke."""

    help = "Activate an API key that was revoked."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key_id")

    def handle(self, *args: Any, **options: Any) -> None:
        key = self.find(options["key_id"])
        event = lifecycle.activate(key, actor=actor())
        self.stdout.write(f"{key} is activated." if event else f"{key} was not revoked.")
