"""``manage.py list_services``: a table of services, or JSON."""

import json
import sys
from typing import Any

from django.core.management.base import CommandParser
from rich.table import Table

from apikeys.management.arguments import add_json
from apikeys.management.base_command import console
from database.text import escaped
from gateway.management.service_command import ServiceCommand, as_json
from gateway.models import Service


class Command(ServiceCommand):
    """Lists services."""

    help = "List the services that are guarded, by name."
    examples = ("list_services --json",)

    def add_arguments(self, parser: CommandParser) -> None:
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        services = Service.objects.prefetch_related("rules")
        if options["json"]:
            self.stdout.write(json.dumps([as_json(service) for service in services]))
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("Name", "Enabled", "Rules", "Description"):
            table.add_column(title, overflow="fold")
        for service in services:
            table.add_row(
                service.name,
                "yes" if service.is_enabled else "no",
                str(len(service.rules.all())),
                escaped(service.description),
            )
        console(sys.stdout).print(table)
