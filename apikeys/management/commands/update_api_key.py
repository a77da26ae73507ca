"""``manage.py update_api_key``: change a key's settings, never its environment."""

from typing import Any

from django.core.management.base import CommandParser

from apikeys import lifecycle, validation
from apikeys.management.base_command import KeyCommand, actor, customer_ids, expiry, limit
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
        for window in ("minute", "hour", "day"):
            parser.add_argument(f"--per-{window}", metavar="N|default")
        parser.add_argument(
            "--allow", action="append", metavar="CIDR|any", help="replaces the networks; repeatable"
        )
        parser.add_argument("--expires", metavar="90d|2027-01-31T00:00Z|never")
        parser.add_argument(
            "--customer", action="append", metavar="ID|all", help="replaces the scope; repeatable"
        )
        parser.add_argument("--json", action="store_true")

    def handle(self, *args: Any, **options: Any) -> None:
        key = self.find(options["key_id"])
        # Judged against the key as it is now: another change in between is refused, not undone.
        lifecycle.update(key, actor=actor(), revision=key.revision, **_settings(key, options))
        self.write_key(self.find(key.pk), as_object=options["json"])


def _settings(key: ApiKey, options: dict[str, Any]) -> KeyFields:
    settings: KeyFields = {}
    if options["name"] is not None:
        settings["name"] = options["name"]
    added = validation.clean_permissions(options["add_permission"])
    removed = validation.clean_permissions(options["remove_permission"])
    if added or removed:
        settings["permissions"] = (set(key.permissions) | set(added)) - set(removed)
    if options["per_minute"] is not None:
        settings["limit_minute"] = limit(options["per_minute"])
    if options["per_hour"] is not None:
        settings["limit_hour"] = limit(options["per_hour"])
    if options["per_day"] is not None:
        settings["limit_day"] = limit(options["per_day"])
    if options["allow"] is not None:
        settings["networks"] = [] if options["allow"] == ["any"] else options["allow"]
    if options["expires"] is not None:
        settings["expires_at"] = expiry(options["expires"])
    if options["customer"] is not None:
        every = options["customer"] == ["all"]
        settings["customers"] = None if every else customer_ids(options["customer"])
    return settings
