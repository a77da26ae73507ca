"""``manage.py update_service``: change a service or its rules."""

from typing import Any

from django.core.management.base import CommandParser

from apikeys.management.base_command import actor
from gateway import lifecycle
from gateway.management.service_command import ServiceCommand
from gateway.rules import EXAMPLE, parse_rules


class Command(ServiceCommand):
    """Changes a service."""

    help = "Change a service. Given rules replace all; what is not named stays as it is."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--description", metavar="D")
        parser.add_argument(
            "--rule", action="append", metavar=f'"{EXAMPLE}"', help="replaces the rules; repeatable"
        )
        switch = parser.add_mutually_exclusive_group()
        switch.add_argument("--enable", action="store_true", dest="is_enabled", default=None)
        switch.add_argument("--disable", action="store_false", dest="is_enabled", default=None)
        parser.add_argument("--json", action="store_true")

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
