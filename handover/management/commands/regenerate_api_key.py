"""``manage.py regenerate_api_key``: a new secret for a key, printed once or handed over."""

from functools import partial
from typing import Any

from django.core.management.base import CommandParser

from apikeys import lifecycle
from apikeys.checks import check_peppers
from apikeys.management.arguments import add_key_id
from apikeys.management.base_command import actor
from database.timestamps import duration
from handover import lifecycle as hand_overs
from handover.management.handing_command import HandingCommand


class Command(HandingCommand):
    """Gives a key a new secret."""

    help = (
        "Give an API key a new secret; print the new key, or its hand-over link, once, on stdout."
    )
    examples = (
        "regenerate_api_key lk_prod_4kQ9zTfB2mXe --overlap 1h",
        "regenerate_api_key lk_prod_4kQ9zTfB2mXe --overlap 1h --hand-over 24",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_key_id(parser)
        parser.add_argument(
            "--overlap", default="0s", metavar="1h", help="how long the old secret goes on"
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        check_peppers()
        terms, as_object = self.terms(options), options["json"]
        key = self.find(options["key_id"])
        chosen: dict[str, Any] = {"overlap": duration(options["overlap"]), "actor": actor()}
        if terms is None:
            self.issue(partial(lifecycle.regenerate, key, **chosen), as_object=as_object)
        else:
            self.offer(partial(hand_overs.regenerate, key, terms, **chosen), as_object=as_object)
