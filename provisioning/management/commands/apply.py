"""``manage.py apply``: make keys and what they need as a manifest says; new keys print once."""

import json
from typing import Any

from django.core.management.base import CommandParser

from apikeys.checks import check_peppers
from apikeys.lifecycle import IssuedKey
from apikeys.management.base_command import actor
from apikeys.serializers import administered
from database.refusals import Refused
from handover import lifecycle as hand_overs
from handover.lifecycle import Offer
from handover.management.handing_command import add_hours, as_link
from provisioning.management.manifest_command import ManifestCommand
from provisioning.manifests import applying
from provisioning.manifests.reading import read_manifest


class Command(ManifestCommand):
    """Applies."""

    help = (
        "Make permissions, services, customers and keys as a manifest says, in one transaction."
        " New keys, or their hand-over links, are printed once, as JSON lines on stdout; the plan"
        " is printed on stderr."
    )
    examples = (
        "apply manifest.yaml --dry-run",
        "apply manifest.yaml --prune --allow-widening",
        "apply manifest.yaml --hand-over 24",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--dry-run", action="store_true", help="print the plan on stdout, and do nothing"
        )
        parser.add_argument(
            "--allow-widening",
            action="store_true",
            help="let keys gain permissions, customers, networks, limits or time",
        )

        add_hours(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        hours = options["hand_over"]
        terms = None if hours is None else hand_overs.terms(hours)
        if options["dry_run"]:
            self.write_plan(options["file"], prune=options["prune"])
            return
        check_peppers()
        manifest = read_manifest(options["file"])
        with self.shown_or_undone() as show:
            steps = applying.apply(manifest, actor=actor(), prune=options["prune"], terms=terms)
            if any(step.widening for step in steps) and not options["allow_widening"]:
                self.write_error_lines(steps)
                raise Refused(
                    "Some keys would gain rights, so nothing was changed. Check the plan, and apply"
                    " it with --allow-widening."
                )
            for step in steps:
                if step.issued is not None:
                    show(json.dumps(_shown(step.issued)), key_id=step.issued.key.pk)
        self.write_error_lines(steps)


def _shown(issued: IssuedKey | Offer) -> dict[str, Any]:
    if isinstance(issued, IssuedKey):
        return administered(issued.key) | {"key": issued.credential}
    return as_link(issued)
