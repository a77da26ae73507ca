"""``manage.py show_api_key``: one key's settings."""

from typing import Any

from django.core.management.base import CommandParser

from apikeys.management.base_command import KeyCommand


class Command(KeyCommand):
    """Shows a key."""

    help = "Show the settings of an API key."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key_id")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        self.write_key(self.find(options["key_id"]), as_object=options["json"])
