"""``manage.py prune_logs``: delete old requests now."""

import sys
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone
from rich.progress import Progress

from apikeys.management.arguments import ago
from apikeys.management.base_command import LineCommand, actor, console
from logs import retention
from logs.audited import record_pruning


class Command(LineCommand):
    """Prunes."""

    help = "Delete requests older than LOG_RETENTION_DAYS, or than --older-than. Usage stays."
    examples = ("prune_logs --older-than 30d --dry-run",)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--older-than", metavar="30d", help="than this; LOG_RETENTION_DAYS if it is left out"
        )
        parser.add_argument("--dry-run", action="store_true", help="say how many, delete none")

    def handle(self, *args: Any, **options: Any) -> None:
        text = options["older_than"]
        timestamp = retention.expired_before(timezone.now()) if text is None else ago(text)
        total = retention.count(timestamp)
        if options["dry_run"]:
            self.stdout.write(f"{total} requests are older than {timestamp:%Y-%m-%d %H:%M} UTC.")
            return
        record_pruning(actor(), older_than=timestamp.isoformat())
        terminal = console(sys.stderr)
        deleted = 0
        with Progress(console=terminal, disable=not terminal.is_terminal) as progress:
            task = progress.add_task("Deleting", total=total)
            for number in retention.prune(timestamp):
                deleted += number
                progress.update(task, completed=deleted)
        self.stdout.write(f"{deleted} requests deleted.")
