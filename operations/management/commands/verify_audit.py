"""``manage.py verify_audit``: whether the audit trail is whole; exit 0 if so, else 3."""

import json
import re
from typing import Any

from django.core.management.base import CommandError, CommandParser

from apikeys.management.arguments import add_json
from apikeys.management.base_command import LineCommand
from audit.chain import Head, verify
from database.refusals import Refused

HEAD = re.compile(r"([0-9]{1,18}):([0-9a-f]{64})", re.ASCII)


class Command(LineCommand):
    """Verifies."""

    help = "Find the first audit event that was altered, removed or put in. Print the chain's end."
    examples = (
        "verify_audit",
        "verify_audit --json",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--expect", metavar="SEQUENCE:HASH", help="an end that was printed earlier"
        )
        add_json(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        report = verify(_head(options["expect"]))
        fault = report.fault
        if options["json"]:
            described = {
                "is_whole": fault is None,
                "sequence": report.head.sequence,
                "hash": report.head.hash,
                "erased": report.erased,
                "fault": None if fault is None else fault._asdict(),
            }
            self.stdout.write(json.dumps(described))
        elif fault is None:
            erased = f", {report.erased} of deleted customers" if report.erased else ""
            self.stdout.write(f"{report.head.sequence} events are whole{erased}.")
            self.stdout.write(str(report.head))
        if fault is not None:
            place = f"Event {fault.sequence}" if fault.sequence else "An event"
            named = f" ({fault.event})" if fault.event else ""
            raise CommandError(
                f"{place}{named} {fault.problem}. Compare it with a copy from export_events.",
                returncode=3,
            )


def _head(text: str | None) -> Head | None:
    if text is None:
        return None
    match = HEAD.fullmatch(text)
    if match is None:
        raise Refused(
            f"{text!r} is not the end of a chain. Write what verify_audit printed: SEQUENCE:HASH."
        )
    return Head(int(match[1]), match[2])
