"""``manage.py worker``: what is done in the background."""

import signal
import threading
from typing import Any

from django.core.management.base import BaseCommand

from jobs.worker import WorkerLoop


class Command(BaseCommand):
    """Runs a worker."""

    help = "Keep counters and tables tidy in the background, until SIGTERM or Ctrl-C."

    def handle(self, *args: Any, **options: Any) -> None:
        """Work until told to stop."""
        stopping = threading.Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopping.set())
        WorkerLoop().run(stopping)
