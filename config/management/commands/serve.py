"""``manage.py serve``: web and worker under one supervisor."""

import sys
from typing import Any

from django.conf import settings
from django.db import connections

from apikeys.command_line import LineCommand
from config import preflight
from jobs.processes import supervise


class Command(LineCommand):
    """Serves."""

    help = "Serve the admin and the API, with a worker, until Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        """Check what must hold, then keep both programs running."""
        preflight.check()
        connections.close_all()
        self.stderr.write(f"Serving on http://{settings.HOST}:{settings.PORT} until Ctrl-C.")
        supervise(
            {
                "web": [sys.executable, "-m", "config.web"],
                "worker": [sys.executable, str(settings.BASE_DIR / "manage.py"), "worker"],
            }
        )
