"""``manage.py export_logs``: requests as CSV or NDJSON on stdout."""

import sys
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.core.management.base import CommandParser
from rich.progress import Progress

from apikeys.management.arguments import (
    KEY_ID_HELP,
    add_environment,
    add_span,
    customer_ids,
    timestamp,
    whole_number,
)
from apikeys.management.base_command import KeyCommand, actor, console
from apikeys.problem_codes import CODES
from logs import export
from logs.admin.filters import METHODS
from logs.audited import record_export
from logs.models import Kind, RequestLog

MAX_COUNTED = 1_000_000


class Command(KeyCommand):
    """Exports."""

    help = "Write requests, newest first, to stdout."
    examples = (
        "export_logs --format csv --environment production --after 24h",
        "export_logs --format ndjson --key lk_prod_4kQ9zTfB2mXe --code rate_limited",
    )
    codes = {"codes": {code: kind.title for code, kind in sorted(CODES.items())}}

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--format", choices=tuple(export.FORMATS), required=True, help="how a line is written"
        )
        add_environment(parser, "of this environment")
        parser.add_argument("--key", metavar="KEY_ID", help=f"with a key, by {KEY_ID_HELP}")
        parser.add_argument("--customer", metavar="ID", help="about a customer, by its id")
        parser.add_argument("--method", choices=METHODS, help="with this method")
        parser.add_argument(
            "--status",
            type=whole_number,
            choices=range(100, 600),
            metavar="N",
            help="answered with this status",
        )
        parser.add_argument(
            "--code",
            choices=sorted(CODES),
            metavar="CODE",
            help="refused with this code; see the list below",
        )
        parser.add_argument("--kind", choices=Kind.values, help="to the API, or decisions")
        parser.add_argument("--service", metavar="NAME", help="decisions for this service")
        add_span(parser)
        parser.add_argument("--dry-run", action="store_true", help="say how many, write none")

    def handle(self, *args: Any, **options: Any) -> None:
        rows = RequestLog.objects.all()
        for name in ("environment", "method", "status", "code", "kind", "service"):
            if options[name] is not None:
                rows = rows.filter(**{name: options[name]})
        if options["key"] is not None:
            key = self.find(options["key"])
            # As it is recorded below: what was typed may be a whole credential.
            options["key"] = key.pk
            rows = rows.filter(key=key)
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
        names = ("environment", "key", "customer", "method", "status", "code", "kind", "service",
                 "after", "before")  # fmt: skip
        chosen = {name: options[name] for name in names if options[name] is not None}
        record_export(actor(), form=options["format"], filters=urlencode(chosen))
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
