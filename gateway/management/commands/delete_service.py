"""``manage.py delete_service``: stop guarding an API."""

import json
from typing import Any

from django.core.management.base import CommandParser

from apikeys.management.arguments import add_json
from apikeys.management.base_command import actor
from gateway import lifecycle
from gateway.management.service_command import ServiceCommand


class Command(ServiceCommand):
    """Deletes a service."""

    help = "Delete a service: its next request is refused. Its history stays."
    examples = ("delete_service orders",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="the service, as list_services shows it")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        service = self.find(options["name"])
        was_there = lifecycle.delete(service, actor=actor())
        if options["json"]:
            self.stdout.write(json.dumps({"name": service.name, "deleted": was_there}))
        else:
            self.stdout.write(f"{service} is deleted." if was_there else f"{service} was deleted.")
