"""``manage.py export``: what there is, as a manifest without secrets."""

from typing import Any

import yaml
from django.core.management.base import CommandParser

from apikeys.management.arguments import add_environment
from apikeys.management.base_command import LineCommand
from provisioning.manifests.exporting import exported


class Command(LineCommand):
    """Exports."""

    help = "Print permissions, services, customers and active keys as a manifest, without secrets."
    examples = ("export --environment production",)

    def add_arguments(self, parser: CommandParser) -> None:
        add_environment(parser, "customers and keys of this environment alone")

    def handle(self, *args: Any, **options: Any) -> None:
        manifest, left_out = exported(options["environment"] or "")
        text = yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=1000)
        self.stdout.write(text, ending="")
        for line in left_out:
            self.stderr.write(f"Left out: {line}.")
