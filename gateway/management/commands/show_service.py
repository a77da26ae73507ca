"""``manage.py show_service``: one service and its rules."""

from typing import Any

from django.core.management.base import CommandParser

from gateway.management.service_command import ServiceCommand


class Command(ServiceCommand):
    """Shows a service."""

    help = "Show a service and its rules in their order."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        self.write_service(self.find(options["name"]), as_object=options["json"])
