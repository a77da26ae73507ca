"""``manage.py create_service``: guard another API."""

from typing import Any

from django.core.management.base import CommandParser

from apikeys.management.arguments import add_json
from apikeys.management.base_command import actor
from gateway import lifecycle
from gateway.management.service_command import ServiceCommand
from gateway.rules import EXAMPLE, parse_rules


class Command(ServiceCommand):
    """Makes a service."""

    help = "Make a service. Without rules, reading needs NAME:read and the rest NAME:write."
    examples = (
        'create_service orders --rule "GET,HEAD /v1/** orders:read" --rule "* /v1/** orders:write"',
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="up to 40 of a-z, 0-9 and -, a letter first")
        parser.add_argument("--description", default="", metavar="D", help="what it is for")
        parser.add_argument(
            "--rule", action="append", metavar=f'"{EXAMPLE}"', help="repeatable, in their order"
        )
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        rules = options["rule"]
        service = lifecycle.create(
            options["name"],
            actor=actor(),
            description=options["description"],
            rules=None if rules is None else parse_rules(rules),
        )
        self.write_service(service, as_object=options["json"])
