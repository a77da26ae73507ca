"""``manage.py export_logs``: requests as CSV or NDJSON on stdout."""

import sys
from typing import Any
from uuid import UUID

from django.core.management.base import CommandParser
from rich.progress import Progress

from apikeys.environments import Environment
from apikeys.management.base_command import (
    KeyCommand,
    console,
    customer_ids,
    timestamp,
    whole_number,
)
from apikeys.problem_codes import CODES
from logs import export
from logs.admin.filters import METHODS
from logs.models import Kind, RequestLog

MAX_COUNTED = 1_000_000


class Command(KeyCommand):
    """Exports."""

    help = "Write requests, newest first, to stdout."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--format", choices=tuple(export.FORMATS), required=True)
        parser.add_argument("--environment", choices=Environment.values)
        parser.add_argument("--key", metavar="KEY_ID")
        parser.add_argument("--customer", metavar="ID")
        parser.add_argument("--method", choices=METHODS)
        parser.add_argument("--status", type=whole_number, choices=range(100, 600), metavar="N")
        parser.add_argument("--code", choices=sorted(CODES), metavar="CODE")
        parser.add_argument("--kind", choices=Kind.values)
        parser.add_argument("--service", metavar="NAME", help="decisions for this service")
        parser.add_argument("--after", metavar="2h or 2027-01-31T00:00Z")
        parser.add_argument("--before", metavar="1h or 2027-01-31T00:00Z")
        parser.add_argument("--dry-run", action="store_true", help="say how many, write none")

    def handle(self, *args: Any, **options: Any) -> None:
        rows = RequestLog.objects.all()
        for name in ("environment", "method", "status", "code", "kind", "service"):
            if options[name] is not None:
                rows = rows.filter(**{name: options[name]})
        if options["key"] is not None:
            rows = rows.filter(key=self.find(options["key"]))
        if options["customer"] is not None:
            (customer,) = customer_ids([options["customer"]])
            rows = rows.filter(customer_id=UUID(str(customer)))
        if options["after"] is not None:
            rows = rows.since(timestamp(options["after"]))
        if options["before"] is not None:
            rows = rows.before(timestamp(options["before"]))
        if options["dry_run"]:
            self.stdout.write(f"{rows.order_by().count()} requests would be exported.")
            return
        self._write(rows, options["format"])

    def _write(self, rows: Any, form: str) -> None:
        terminal = console(sys.stderr)
        is_shown = terminal.is_terminal
        total = rows.order_by("-pk")[:MAX_COUNTED].count() if is_shown else None
        with Progress(console=terminal, disable=not is_shown) as progress:
            task = progress.add_task("Exporting", total=total)
            # A file holds what was recorded; a terminal must not obey what a caller sent.
            is_seen = self.stdout.isatty()
            for text in export.lines(rows, form):
                if is_seen:
                    self.stdout.write(text.replace("\r\n", "\n"), ending="")
                else:
                    sys.stdout.write(text)
                progress.advance(task, text.count("\n"))
            self.stdout.flush()
