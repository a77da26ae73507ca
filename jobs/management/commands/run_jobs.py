"""``manage.py run_jobs``: one process of a worker; ``worker`` starts these."""

from typing import Any

from django.core.management.base import CommandParser

from apikeys.management.base_command import LineCommand
from jobs.worker import runner


class Command(LineCommand):
    """Runs jobs."""

    help = "Run jobs, one after the other. Use worker instead: it starts and replaces these."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("queues", nargs="*")

    def handle(self, *args: Any, **options: Any) -> None:
        runner.main(options["queues"])
