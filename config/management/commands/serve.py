"""``manage.py serve``: web and worker under one supervisor."""

import socket
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandParser

from apikeys.management.base_command import LineCommand
from config.server import granian, startup_checks
from jobs.worker.processes import add_worker
from jobs.worker.supervisor import Family, apart, name_process


class Command(LineCommand):
    """Serves."""

    help = "Serve the admin and the API, with a worker, until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--bootstrap", action="store_true", help="run bootstrap first: tables and demo data"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        self._is_told = False
        startup_checks.check_address()
        # This process opens no connection: its children would share it.
        with apart(self._bootstrap if options["bootstrap"] else self.check_server):
            granian.load_code()
        name_process("latchkey")
        family = Family()
        family.add("server", granian.serve)
        add_worker(family, concurrency=settings.JOB_CONCURRENCY)
        family.supervise(self._tell)

    def _bootstrap(self) -> None:
        call_command("bootstrap")

    def _tell(self) -> None:
        """Say once that the port is answered."""
        if self._is_told:
            return
        try:
            socket.create_connection((settings.HOST, settings.PORT), timeout=1.0).close()
        except OSError:
            return
        self._is_told = True
        self.stderr.write(f"Serving on http://{settings.HOST}:{settings.PORT} until Ctrl-C.")
