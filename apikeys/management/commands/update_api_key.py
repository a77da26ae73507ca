"""``manage.py update_api_key``: change a key's settings, never its environment."""

from collections.abc import Callable
from typing import Any, cast

from django.core.management.base import CommandParser
from django.db import transaction

from apikeys import catalogue, lifecycle
from apikeys.management.base_command import (
    KeyCommand,
    actor,
    add_limits,
    customer_ids,
    expiry,
    limits,
)
from apikeys.models import ApiKey
from apikeys.validation import KeyFields


class Command(KeyCommand):
    """Changes a key's settings."""

    help = "Change the settings of an API key. What is not named stays as it is."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("key_id")
        parser.add_argument("--name", metavar="N")
        parser.add_argument("--add-permission", action="append", default=[], metavar="P")
        parser.add_argument("--remove-permission", action="append", default=[], metavar="P")
        add_limits(parser)
        parser.add_argument(
            "--allow", action="append", metavar="CIDR|any", help="replaces the networks; repeatable"
        )
        parser.add_argument("--expires", metavar="90d|2027-01-31T00:00Z|never")
        parser.add_argument(
            "--customer", action="append", metavar="ID|all", help="replaces the scope; repeatable"
        )
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        with transaction.atomic():
            key = self.find(options["key_id"])
            # Judged against the key as it is now: another change in between is refused, not undone.
            lifecycle.update(key, actor=actor(), revision=key.revision, **_settings(key, options))
        self.write_key(self.find(key.pk), as_object=options["json"])


# By option: the setting, and what reads the option's value.
READERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "name": ("name", str),
    "allow": ("networks", lambda networks: [] if networks == ["any"] else networks),
    "expires": ("expires_at", expiry),
    "customer": ("customers", lambda ids: None if ids == ["all"] else customer_ids(ids)),
}


def _settings(key: ApiKey, options: dict[str, Any]) -> KeyFields:
    settings: dict[str, Any] = {
        setting: read(options[option])
        for option, (setting, read) in READERS.items()
        if options[option] is not None
    }
    added = catalogue.ordered(options["add_permission"])
    removed = catalogue.ordered(options["remove_permission"])
    if added or removed:
        settings["permissions"] = (set(key.permissions) | set(added)) - set(removed)
    return cast(KeyFields, settings | limits(options))
