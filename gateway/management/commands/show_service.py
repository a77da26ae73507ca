"""``manage.py show_service``: one service and its rules."""

from typing import Any

from django.core.management.base import CommandParser

from apikeys.management.arguments import add_json
from gateway.management.service_command import ServiceCommand


class Command(ServiceCommand):
    """Shows a service."""

    help = "Show a service and its rules in their order."
    examples = ("show_service orders --json",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the service, as list_services shows it")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        self.write_service(self.find(options["name"]), as_object=options["json"])
