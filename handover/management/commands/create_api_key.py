"""``manage.py create_api_key``: make a key and print it, or its hand-over link, once."""

from functools import partial
from typing import Any, cast

from django.core.management.base import CommandParser

from apikeys import lifecycle
from apikeys.checks import check_peppers
from apikeys.environments import Environment
from apikeys.management.arguments import (
    KEY_ID_HELP,
    PERMISSION_CODES,
    add_environment,
    add_limits,
    add_notes,
    customer_ids,
    limits,
)
from apikeys.management.base_command import actor
from apikeys.models import ApiKey
from apikeys.validation import KeyFields, settings_of
from database.refusals import Refused
from database.timestamps import expiry
from handover import lifecycle as hand_overs
from handover.management.handing_command import HandingCommand


class Command(HandingCommand):
    """Makes a key."""

    help = "Create an API key and print it, or its hand-over link, once, on stdout."
    codes = PERMISSION_CODES
    examples = (
        'create_api_key "Website" --environment production --permission customers:read',
        'create_api_key "Office" --environment staging --allow 203.0.113.0/24 --expires 90d',
        'create_api_key "Website 2" --like lk_prod_4kQ9zTfB2mXe --json',
        'create_api_key "Partner" --environment production --hand-over 24',
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME", help="what the key is for")
        add_environment(parser, "where it is good, for its life")
        parser.add_argument(
            "--like",
            metavar="KEY_ID",
            help=f"copy what is not named here from another key: {KEY_ID_HELP}",
        )
        parser.add_argument(
            "--permission", action="append", metavar="P", help="a code below; repeatable"
        )
        parser.add_argument(
            "--customer", action="append", metavar="ID", help="reach only this customer; repeatable"
        )
        add_limits(parser)
        parser.add_argument(
            "--allow",
            action="append",
            metavar="CIDR",
            help="a network that it is accepted from, else from any; repeatable",
        )
        parser.add_argument(
            "--expires",
            metavar="90d|2027-01-31T00:00Z|never",
            help="after so long, or at a time with its zone; never if it is left out",
        )
        parser.add_argument(
            "--tag", action="append", metavar="T", help="as billing or team:web; repeatable"
        )
        add_notes(parser)
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        check_peppers()
        model = None if options["like"] is None else self.find(options["like"])
        environment = options["environment"] or (model.environment if model else "")
        if not environment:
            raise Refused(
                "The environment is missing. Add --environment, or --like with a key to copy."
            )
        terms, as_object = self.terms(options), options["json"]
        chosen: dict[str, Any] = {"environment": Environment(environment), "actor": actor()}
        settings = _settings(model, options)
        if terms is None:
            self.issue(partial(lifecycle.create, **chosen, **settings), as_object=as_object)
        else:
            make = partial(hand_overs.create, terms, **chosen, **settings)
            self.offer(make, as_object=as_object)


# By option, the setting that it is.
SETTINGS = {
    "name": "name",
    "permission": "permissions",
    "allow": "networks",
    "tag": "tags",
    "owner": "owner",
    "note": "note",
}


def _settings(model: ApiKey | None, options: dict[str, Any]) -> KeyFields:
    settings: dict[str, Any] = dict(settings_of(model)) if model else {}
    settings |= {
        setting: options[option]
        for option, setting in SETTINGS.items()
        if options[option] is not None
    }
    if options["customer"] is not None:
        settings["customers"] = customer_ids(options["customer"])
    if options["expires"] is not None:
        settings["expires_at"] = expiry(options["expires"])
    return cast(KeyFields, settings | limits(options))
