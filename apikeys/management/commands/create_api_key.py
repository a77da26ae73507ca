"""``manage.py create_api_key``: make a key and print it once."""

from functools import partial
from typing import Any

from django.core.management.base import CommandParser

from apikeys import lifecycle
from apikeys.checks import check_peppers
from apikeys.environments import Environment
from apikeys.management.base_command import (
    KeyCommand,
    actor,
    add_limits,
    customer_ids,
    expiry,
    limits,
)


class Command(KeyCommand):
    """Makes a key."""

    help = "Create an API key and print it once, on stdout."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="what the key is for")
        parser.add_argument("--environment", required=True, choices=Environment.values)
        parser.add_argument("--permission", action="append", default=[], metavar="P")
        parser.add_argument(
            "--customer", action="append", metavar="ID", help="reach only this customer; repeatable"
        )
        add_limits(parser)
        parser.add_argument("--allow", action="append", default=[], metavar="CIDR")
        parser.add_argument("--expires", default="never", metavar="90d|2027-01-31T00:00Z")
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        check_peppers()
        customers = options["customer"]
        make = partial(
            lifecycle.create,
            environment=Environment(options["environment"]),
            actor=actor(),
            name=options["name"],
            permissions=options["permission"],
            customers=None if customers is None else customer_ids(customers),
            **limits(options),
            networks=options["allow"],
            expires_at=expiry(options["expires"]),
        )
        self.issue(make, as_object=options["json"])
