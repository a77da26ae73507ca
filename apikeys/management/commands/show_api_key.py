"""``manage.py show_api_key``: one key's settings."""

from typing import Any

from django.core.management.base import CommandParser

from apikeys.management.arguments import add_json, add_key_id
from apikeys.management.base_command import KeyCommand


class Command(KeyCommand):
    """Shows a key."""

    help = "Show the settings of an API key."
    examples = ("show_api_key lk_prod_4kQ9zTfB2mXe --json",)

    def add_arguments(self, parser: CommandParser) -> None:
        add_key_id(parser)
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        self.write_key(self.find(options["key_id"]), as_object=options["json"])
