"""``manage.py worker``: runs jobs and periodic tasks."""

import signal
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from apikeys.management.base_command import LineCommand, console, whole_number
from database.refusals import Refused
from jobs.registry import job_types
from jobs.worker.loop import WorkerLoop
from jobs.worker.supervisor import stop_event

MAX_RUNNERS = 64


class Command(LineCommand):
    """Runs a worker."""

    help = (
        "Run jobs, ship request logs, prune, recover lost jobs and announce expiries,"
        " until SIGTERM or Ctrl-C."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--concurrency",
            type=whole_number,
            default=settings.JOB_CONCURRENCY,
            help="jobs at once",
        )
        parser.add_argument(
            "--queue", action="append", default=[], metavar="NAME", help="only jobs of this queue"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        concurrency: int = options["concurrency"]
        if not 0 <= concurrency <= MAX_RUNNERS:
            raise Refused(f"--concurrency is {concurrency}. Use a number from 0 to {MAX_RUNNERS}.")
        self.check_server()
        queues = {kind.queue for kind in job_types().values()}
        if unknown := set(options["queue"]) - queues:
            raise Refused(
                f"There is no queue {min(unknown)!r}. Use one of {', '.join(sorted(queues))}."
            )
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        stopping = stop_event()
        terminal = console(sys.stderr)
        loop = WorkerLoop(concurrency=concurrency, queues=options["queue"])
        if terminal.is_terminal:
            with terminal.status("Starting") as status:
                loop.run(stopping, tell=status.update)
        else:
            loop.run(stopping)
