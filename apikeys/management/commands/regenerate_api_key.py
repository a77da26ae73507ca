"""``manage.py regenerate_api_key``: a new secret for a key, printed once."""

from functools import partial
from typing import Any

from django.core.management.base import CommandParser

from apikeys import lifecycle
from apikeys.checks import check_peppers
from apikeys.management.base_command import KeyCommand, actor, duration


class Command(KeyCommand):
    """Gives a key a new secret."""

    help = "Give an API key a new secret and print the new key once, on stdout."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key_id")
        parser.add_argument(
            "--overlap", default="0s", metavar="1h", help="how long the old secret goes on"
        )
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        check_peppers()
        make = partial(
            lifecycle.regenerate,
            self.find(options["key_id"]),
            overlap=duration(options["overlap"]),
            actor=actor(),
        )
        self.issue(make, as_object=options["json"])
