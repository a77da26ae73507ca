"""``manage.py list_api_keys``: a table of keys, or JSON."""

import json
import sys
from collections.abc import Callable
from itertools import accumulate
from typing import Any, NamedTuple

from django.core.management.base import CommandParser
from django.db.models import F
from rich.table import Table
from rich.text import Text

from apikeys.catalogue import with_labels
from apikeys.management.arguments import add_environment, add_json, ago, whole_number
from apikeys.management.base_command import KeyCommand, console
from apikeys.models import ApiKey, Status
from apikeys.serializers import administered, with_scope
from apikeys.validation import clean_tags
from database.fields import CaselessName
from database.text import escaped

SORTS = {
    "created": F("created_at").desc(),
    "name": CaselessName("name").asc(),
    "used": F("last_used_at").desc(nulls_last=True),
    "expires": F("expires_at").asc(nulls_last=True),
    "owner": CaselessName("owner").asc(),
}
GAP = 2


class Column(NamedTuple):
    """A column of the table; a terminal that has no ``width`` left for it does without."""

    name: str
    width: int
    read: Callable[[ApiKey], str]


# By importance: those that have no room are the last.
COLUMNS = (
    Column("Key id", 12, lambda key: key.pk),
    Column("Name", 16, lambda key: escaped(key.name)),
    Column("Environment", 11, lambda key: key.environment),
    Column("Status", 8, lambda key: key.status.value),
    Column("Last used", 16, lambda key: _day(key.last_used_at)),
    Column("Expires", 16, lambda key: _day(key.expires_at)),
    Column("Permissions", 16, lambda key: key.permission_summary),
    Column("Limits", 12, lambda key: "/".join(str(number) for number in key.limits)),
    Column("Owner", 12, lambda key: escaped(key.owner)),
    Column("Tags", 12, lambda key: ", ".join(key.tags)),
)


class Command(KeyCommand):
    """Lists keys."""

    help = "List API keys, newest first."
    examples = (
        "list_api_keys --environment production --status active --sort used",
        "list_api_keys --idle 90d --tag website --limit 20",
        "list_api_keys --sort expires --json",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_environment(parser, "keys of this environment")
        parser.add_argument("--status", choices=Status.values, help="keys with this status now")
        parser.add_argument("--idle", metavar="90d", help="keys not used for this long")
        parser.add_argument("--tag", metavar="T", help="keys with this tag")
        parser.add_argument("--owner", metavar="O", help="keys of this owner, as it is written")
        parser.add_argument(
            "--sort",
            choices=list(SORTS),
            default="created",
            help="newest, by name, used last, expiring first, by owner",
        )
        parser.add_argument("--limit", type=whole_number, metavar="N", help="the first N of them")
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        keys = ApiKey.objects.all()
        if options["environment"]:
            keys = keys.filter(environment=options["environment"])
        if options["status"]:
            keys = keys.with_status(options["status"])
        if options["idle"] is not None:
            keys = keys.idle_since(ago(options["idle"]))
        if options["tag"] is not None:
            (tag,) = clean_tags([options["tag"]])
            keys = keys.tagged(tag)
        if options["owner"] is not None:
            keys = keys.owned_by(options["owner"])
        keys = keys.order_by(SORTS[options["sort"]], "-created_at", "pk")[: options["limit"]]
        if options["json"]:
            self.stdout.write(json.dumps([administered(key) for key in with_scope(keys)]))
            return
        self._print(with_labels(keys))

    def _print(self, keys: list[ApiKey]) -> None:
        terminal = console(sys.stdout)
        ends = accumulate(column.width + GAP for column in COLUMNS)
        columns = [
            column for column, end in zip(COLUMNS, ends, strict=True) if end - GAP <= terminal.width
        ]
        table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, GAP, 0, 0))
        for column in columns:
            # Every other command asks for the key id: it is never cut.
            is_id = column.name == "Key id"
            table.add_column(column.name, no_wrap=is_id, min_width=column.width)
        for key in keys:
            # One line a key: what is too long for its column is cut.
            table.add_row(
                *(Text(column.read(key), no_wrap=True, overflow="ellipsis") for column in columns)
            )
        terminal.print(table)


def _day(timestamp: Any) -> str:
    return f"{timestamp:%Y-%m-%d %H:%M}" if timestamp else "never"
