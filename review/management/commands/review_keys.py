"""``manage.py review_keys``: the keys to review, by finding; exit 3 if there are any."""

import json
import sys
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from apikeys.management.base_command import LineCommand
from database.text import escaped
from review import findings

EXIT_FOUND = 3


class Command(LineCommand):
    """Lists findings."""

    help = "List the keys to review: unused, with too many rights, without expiry, and the like."
    examples = (
        "review_keys --finding unused --finding no-expiry",
        "review_keys --json",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--finding",
            action="append",
            choices=list(findings.BY_NAME),
            help="only this finding; repeatable",
        )
        parser.add_argument("--json", action="store_true", help="one JSON object")

    def handle(self, *args: Any, **options: Any) -> None:
        names = options["finding"] or list(findings.BY_NAME)
        found = findings.by_key(names, timezone.now())
        if options["json"]:
            objects = {
                name: [
                    {
                        "id": key.pk,
                        "name": key.name,
                        "environment": key.environment,
                        "finding": sentence,
                    }
                    for key, sentence in rows
                ]
                for name, rows in found.items()
            }
            self.stdout.write(json.dumps(objects))
        else:
            for name, rows in found.items():
                for key, sentence in rows:
                    self.stdout.write(
                        f"{name:12} {key.pk} {key.environment:11} {escaped(key.name)}: {sentence}"
                    )
        if any(found.values()):
            sys.exit(EXIT_FOUND)
