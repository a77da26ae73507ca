"""What ``apply`` and ``diff`` share."""

from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction

from apikeys.checks import check_peppers
from apikeys.management.base_command import LineCommand, actor
from provisioning.manifests import applying
from provisioning.manifests.applying import Step
from provisioning.manifests.plan import plan_lines
from provisioning.manifests.reading import read_manifest


class ManifestCommand(LineCommand):
    """A command about a manifest."""

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", metavar="FILE", help="a manifest in YAML")
        parser.add_argument(
            "--prune",
            action="store_true",
            help="revoke keys and delete the rest of what the owner made and declares no longer",
        )

    def write_plan(self, file: str, *, prune: bool) -> list[Step]:
        """Print what applying would do, and do nothing."""
        check_peppers()
        with transaction.atomic():
            steps = applying.apply(read_manifest(file), actor=actor(), prune=prune)
            transaction.set_rollback(True)
        for line in plan_lines(steps):
            self.stdout.write(line)
        return steps

    def write_error_lines(self, steps: list[Step]) -> Any:
        """Print the plan on stderr, where it is in no program's way."""
        for line in plan_lines(steps):
            self.stderr.write(line)
