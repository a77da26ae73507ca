"""``manage.py run_jobs``: one process of a worker; ``worker`` starts these."""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from jobs import runner


class Command(BaseCommand):
    """Runs jobs."""

    help = "Run jobs, one after the other. Use worker instead: it starts and replaces these."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the arguments."""
        parser.add_argument("queues", nargs="*")

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until told to stop."""
        runner.main(options["queues"])
