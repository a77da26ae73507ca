"""``manage.py export_events``: the audit trail as NDJSON on stdout, oldest first."""

import json
from typing import Any

from django.core.management.base import CommandParser

from apikeys.management.base_command import KeyCommand, timestamp
from apikeys.models import Action, Event

CHUNK = 500


class Command(KeyCommand):
    """Exports."""

    help = "Write audit events, oldest first, one JSON object a line."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--key", metavar="KEY_ID")
        parser.add_argument("--action", choices=Action.values)
        parser.add_argument("--after", metavar="2h or 2027-01-31T00:00Z")
        parser.add_argument("--before", metavar="1h or 2027-01-31T00:00Z")

    def handle(self, *args: Any, **options: Any) -> None:
        events = Event.objects.order_by("created_at", "id")
        if options["key"] is not None:
            events = events.filter(key=self.find(options["key"]))
        if options["action"] is not None:
            events = events.filter(action=options["action"])
        if options["after"] is not None:
            events = events.filter(created_at__gte=timestamp(options["after"]))
        if options["before"] is not None:
            events = events.filter(created_at__lt=timestamp(options["before"]))
        for event in events.iterator(CHUNK):
            self.stdout.write(json.dumps(_as_json(event)))
        self.stdout.flush()


def _as_json(event: Event) -> dict[str, Any]:
    # The time first and always as long: lines can be compared as text.
    at = event.created_at.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return {
        "at": at,
        "id": str(event.pk),
        "key": event.key_id,
        "action": event.action,
        "by": event.actor_name,
        "source": event.source,
        "address": event.address,
        "reason": event.reason,
        "changes": event.changes,
    }
