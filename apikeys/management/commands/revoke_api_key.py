"""``manage.py revoke_api_key``: withdraw a key, reversibly."""

from typing import Any

from django.core.management.base import CommandParser

from apikeys import lifecycle
from apikeys.management.base_command import KeyCommand, actor


class Command(KeyCommand):
    """Withdraws a key."""

    help = "Revoke an API key: the next request with it is refused. activate_api_key undoes it."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key_id")
        parser.add_argument("--reason", default="", metavar="TEXT")

    def handle(self, *args: Any, **options: Any) -> None:
        key = self.find(options["key_id"])
        event = lifecycle.revoke(key, reason=options["reason"], actor=actor())
        self.stdout.write(f"{key} is revoked." if event else f"{key} was revoked already.")
