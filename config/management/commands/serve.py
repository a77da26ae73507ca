"""``manage.py serve``: web and worker under one supervisor."""

import sys
from typing import Any

from django.conf import settings
from django.db import connections

from apikeys.management.base_command import LineCommand
from config.server import startup_checks
from jobs.worker.supervisor import supervise


class Command(LineCommand):
    """Serves."""

    help = "Serve the admin and the API, with a worker, until Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        startup_checks.check_address()
        self.check_server()
        connections.close_all()
        self.stderr.write(f"Starting on http://{settings.HOST}:{settings.PORT}, until Ctrl-C.")
        supervise(
            {
                "web": [sys.executable, "-m", "config.server.granian"],
                "worker": [sys.executable, str(settings.BASE_DIR / "manage.py"), "worker"],
            }
        )
