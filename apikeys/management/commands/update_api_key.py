"""``manage.py update_api_key``: change a key's settings, never its environment."""

from collections.abc import Callable
from typing import Any, cast

from django.core.management.base import CommandParser
from django.db import transaction

from apikeys import catalogue, lifecycle
from apikeys.management.arguments import (
    PERMISSION_CODES,
    add_json,
    add_key_id,
    add_limits,
    add_notes,
    customer_ids,
    limits,
)
from apikeys.management.base_command import KeyCommand, actor
from apikeys.models import ApiKey
from apikeys.validation import KeyFields
from database.timestamps import expiry


class Command(KeyCommand):
    """Changes a key's settings."""

    help = "Change the settings of an API key. What is not named stays as it is."
    codes = PERMISSION_CODES
    examples = (
        "update_api_key 4kQ9zTfB2mXe --add-permission jobs:run --per-minute 120",
        "update_api_key 4kQ9zTfB2mXe --allow 203.0.113.0/24 --allow 2001:db8::/32 --expires 90d",
        'update_api_key 4kQ9zTfB2mXe --add-tag website --remove-tag beta --owner ""',
    )

    def add_arguments(self, parser: CommandParser) -> None:
        add_key_id(parser)
        parser.add_argument("--name", metavar="N", help="what the key is for")
        for thing, letter, text in (("permission", "P", "a code below"), ("tag", "T", "a tag")):
            for verb in ("add", "remove"):
                parser.add_argument(
                    f"--{verb}-{thing}",
                    action="append",
                    default=[],
                    metavar=letter,
                    help=f"{text} to {verb}; repeatable",
                )
        add_limits(parser)
        parser.add_argument(
            "--allow", action="append", metavar="CIDR|any", help="replaces the networks; repeatable"
        )
        parser.add_argument(
            "--expires",
            metavar="90d|2027-01-31T00:00Z|never",
            help="after so long from now, or at a time with its zone",
        )
        parser.add_argument(
            "--customer", action="append", metavar="ID|all", help="replaces the scope; repeatable"
        )
        add_notes(parser)
        add_json(parser)

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
    "owner": ("owner", str),
    "note": ("note", str),
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
    if options["add_tag"] or options["remove_tag"]:
        settings["tags"] = (set(key.tags) | set(options["add_tag"])) - set(options["remove_tag"])
    return cast(KeyFields, settings | limits(options))
