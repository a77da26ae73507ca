"""``manage.py doctor``: what is wrong with this installation; exit 0 if nothing is, else 3."""

import json
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from apikeys.management.base_command import LineCommand
from operations.checkup.examination import examine

EXIT_FOUND = 3


class Command(LineCommand):
    """Examines."""

    help = (
        "Check settings, packages, migrations, clocks, Redis, spool, disk, peppers, keys, worker"
        " and audit trail, and say what to do. Exits with 3 if there are findings."
    )
    examples = ("doctor", "doctor --json")
    # Their errors are findings.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = examine()
        if options["json"]:
            described = {
                "version": settings.LATCHKEY_VERSION,
                "status": "findings" if findings else "good",
                "findings": [finding._asdict() for finding in findings],
            }
            self.stdout.write(json.dumps(described))
        elif not findings:
            self.stdout.write("Nothing is wrong.")
        else:
            for finding in findings:
                self.stdout.write(f"{finding.code:20} {finding.problem} {finding.remedy}")
        if findings:
            sys.exit(EXIT_FOUND)
