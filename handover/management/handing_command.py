"""What the commands share that make a credential, or a link by which it is handed over."""

import json
import sys
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandParser

from apikeys.management.arguments import add_json, whole_number
from apikeys.management.base_command import KeyCommand
from apikeys.serializers import administered
from backoffice.terminal import ask, discard
from database.refusals import Refused
from database.text import escaped
from handover import lifecycle
from handover.lifecycle import MAX_HOURS, MIN_HOURS, Offer, Terms


def add_hours(parser: CommandParser) -> None:
    parser.add_argument(
        "--hand-over",
        type=whole_number,
        metavar="HOURS",
        help=f"print a link that is good once within {MIN_HOURS} to {MAX_HOURS} hours, and no key",
    )


def as_link(offered: Offer) -> dict[str, Any]:
    return administered(offered.key) | {"key": None, "hand_over_url": offered.url}


class HandingCommand(KeyCommand):
    """A command that prints a credential, or a link by which it is handed over."""

    def add_arguments(self, parser: CommandParser) -> None:
        add_hours(parser)
        parser.add_argument(
            "--passphrase",
            action="store_true",
            help="have the link ask for a passphrase, which is read from standard input",
        )
        add_json(parser)

    def terms(self, options: dict[str, Any]) -> Terms | None:
        """Return the terms of the link that is asked for; None where none is."""
        if options["hand_over"] is None:
            if options["passphrase"]:
                raise Refused("A passphrase is for a link alone. Add --hand-over HOURS.")
            return None
        passphrase = _read_passphrase() if options["passphrase"] else ""
        return lifecycle.terms(options["hand_over"], passphrase)

    def offer(self, make: Callable[[], Offer], *, as_object: bool) -> None:
        """Print a link, which is made only if it could be printed."""
        with self.shown_or_undone() as show:
            offered = make()
            written = json.dumps(as_link(offered)) if as_object else offered.url
            show(written, key_id=offered.key.pk)
        if not as_object:
            try:
                self.stderr.write(
                    f"{escaped(str(offered.key))}: send the link to its recipient, it cannot be"
                    " shown again."
                )
            except OSError:
                discard(sys.stderr)


def _read_passphrase() -> str:
    """Read it from standard input: arguments are seen by everybody on the machine."""
    passphrase = ask("Passphrase of the link")
    if not passphrase:
        raise Refused("The passphrase is blank. Type it, or send it on standard input.")
    return passphrase
