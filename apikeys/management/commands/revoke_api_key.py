"""``manage.py revoke_api_key``: withdraw a key, reversibly."""

from typing import Any

from django.core.management.base import CommandParser

from apikeys import lifecycle
from apikeys.management.arguments import add_key_id
from apikeys.management.base_command import KeyCommand, actor


class Command(KeyCommand):
    """Withdraws a key."""

    help = "Revoke an API key: the next request with it is refused. activate_api_key undoes it."
    examples = ('revoke_api_key 4kQ9zTfB2mXe --reason "Laptop lost"',)

    def add_arguments(self, parser: CommandParser) -> None:
        add_key_id(parser)
        parser.add_argument("--reason", default="", metavar="TEXT", help="kept in the audit trail")

    def handle(self, *args: Any, **options: Any) -> None:
        key = self.find(options["key_id"])
        event = lifecycle.revoke(key, reason=options["reason"], actor=actor())
        self.stdout.write(f"{key} is revoked." if event else f"{key} was revoked already.")
