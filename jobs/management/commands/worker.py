"""``manage.py worker``: runs jobs and periodic tasks."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from apikeys.checks import TAG
from apikeys.management.arguments import whole_number
from apikeys.management.base_command import LineCommand
from database.refusals import Refused
from database.suggestions import suggestion
from jobs.registry import runnable_types
from jobs.worker.processes import add_worker
from jobs.worker.supervisor import Family, apart

MAX_RUNNERS = 64


class Command(LineCommand):
    """Runs a worker."""

    help = (
        "Run jobs, ship request logs, prune, recover lost jobs and send alerts,"
        " until SIGTERM or Ctrl-C."
    )
    examples = ("worker --concurrency 4",)

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
        if options["queue"]:
            # Without the databases: this process opens no connection.
            self.check(tags=[TAG], include_deployment_checks=True)
            queues = {name for kind in runnable_types().values() for name in kind.queues}
            if unknown := set(options["queue"]) - queues:
                name = min(unknown)
                raise Refused(f"There is no queue {name!r}. {suggestion(name, sorted(queues))}")
        with apart(self.check_server):
            pass
        family = Family()
        add_worker(family, concurrency=concurrency, queues=options["queue"])
        family.supervise()
