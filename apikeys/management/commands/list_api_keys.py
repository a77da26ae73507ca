"""``manage.py list_api_keys``: a table of keys, or JSON."""

import json
import sys
from typing import Any

from django.core.management.base import CommandParser
from rich.table import Table

from apikeys.catalogue import with_labels
from apikeys.environments import Environment
from apikeys.management.base_command import KeyCommand, ago, console
from apikeys.models import ApiKey, Status
from apikeys.serializers import as_json, with_scope
from database.text import escaped

COLUMNS = (
    "Key id",
    "Name",
    "Environment",
    "Status",
    "Permissions",
    "Limits",
    "Last used",
    "Expires",
)


class Command(KeyCommand):
    """Lists keys."""

    help = "List API keys, newest first."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--environment", choices=Environment.values)
        parser.add_argument("--status", choices=Status.values)
        parser.add_argument("--idle", metavar="90d", help="not used for this long")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        keys = ApiKey.objects.all()
        if options["environment"]:
            keys = keys.filter(environment=options["environment"])
        if options["status"]:
            keys = keys.with_status(options["status"])
        if options["idle"] is not None:
            keys = keys.idle_since(ago(options["idle"]))
        if options["json"]:
            self.stdout.write(json.dumps([as_json(key) for key in with_scope(keys)]))
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for name in COLUMNS:
            # Every other command asks for the key id: it is never cut.
            is_id = name == "Key id"
            table.add_column(name, no_wrap=is_id, min_width=12 if is_id else None, overflow="fold")
        for key in with_labels(keys):
            table.add_row(
                key.pk,
                escaped(key.name),
                key.environment,
                key.status.value,
                key.permission_summary,
                "/".join(str(number) for number in key.limits),
                _day(key.last_used_at),
                _day(key.expires_at),
            )
        console(sys.stdout).print(table)


def _day(timestamp: Any) -> str:
    return f"{timestamp:%Y-%m-%d %H:%M}" if timestamp else "never"
