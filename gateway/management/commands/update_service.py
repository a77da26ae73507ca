"""``manage.py update_service``: change a service or its rules."""

from typing import Any

from django.core.management.base import CommandParser

from apikeys.management.arguments import add_json
from apikeys.management.base_command import actor
from gateway import lifecycle
from gateway.management.service_command import ServiceCommand
from gateway.rules import EXAMPLE, parse_rules


class Command(ServiceCommand):
    """Changes a service."""

    help = "Change a service. Given rules replace all; what is not named stays as it is."
    examples = ('update_service orders --rule "GET,HEAD /v1/** orders:read" --disable',)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the service, as list_services shows it")
        parser.add_argument("--description", metavar="D", help="what it is for")
        parser.add_argument(
            "--rule", action="append", metavar=f'"{EXAMPLE}"', help="replaces the rules; repeatable"
        )
        switch = parser.add_mutually_exclusive_group()
        switch.add_argument(
            "--enable",
            action="store_true",
            dest="is_enabled",
            default=None,
            help="decide by its rules",
        )
        switch.add_argument(
            "--disable",
            action="store_false",
            dest="is_enabled",
            default=None,
            help="refuse every request",
        )
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        named = ("description", "is_enabled")
        rules = options["rule"]
        service = lifecycle.update(
            self.find(options["name"]),
            actor=actor(),
            fields={name: options[name] for name in named if options[name] is not None},
            rules=None if rules is None else parse_rules(rules),
        )
        self.write_service(service, as_object=options["json"])
