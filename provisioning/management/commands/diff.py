"""``manage.py diff``: what applying a manifest would do; exit 3 if that is anything."""

import sys
from typing import Any

from provisioning.management.manifest_command import ManifestCommand
from provisioning.manifests.applying import differs

EXIT_DIFFERENT = 3


class Command(ManifestCommand):
    """Compares."""

    help = "Show what apply would do with a manifest. Exits with 3 if it would do anything."
    examples = ("diff manifest.yaml",)

    def handle(self, *args: Any, **options: Any) -> None:
        if differs(self.write_plan(options["file"], prune=options["prune"])):
            sys.exit(EXIT_DIFFERENT)
