"""``manage.py export_events``: the audit trail as NDJSON on stdout, oldest first."""

import json
from typing import Any
from urllib.parse import urlencode

from django.core.management.base import CommandParser

from apikeys.audited import KEYS
from apikeys.credentials import mask
from apikeys.management.arguments import KEY_ID_HELP, add_environment, add_span, timestamp
from apikeys.management.base_command import KeyCommand, actor
from audit.actors import Source
from audit.export import as_json, record_export
from audit.kinds import actions, kinds
from audit.models import Event

CHUNK = 500


class Command(KeyCommand):
    """Exports."""

    help = "Write audit events, oldest first, one JSON object a line."
    examples = (
        "export_events --key lk_prod_4kQ9zTfB2mXe",
        "export_events --action revoked --after 7d",
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--kind",
            choices=sorted(kinds()),
            metavar="KIND",
            help=f"of objects of this kind: {', '.join(sorted(kinds()))}",
        )
        parser.add_argument("--object", metavar="ID", help="of the object with this id")
        parser.add_argument("--key", metavar="KEY_ID", help=f"of a key, by {KEY_ID_HELP}")
        parser.add_argument(
            "--action",
            choices=sorted(actions()),
            metavar="ACTION",
            help=f"of this action: {', '.join(sorted(actions()))}",
        )
        parser.add_argument("--by", metavar="NAME", help="of this person or key")
        parser.add_argument("--source", choices=Source.values, help="that came this way")
        add_environment(parser, "of this environment")
        add_span(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        events = Event.objects.order_by("pk")
        named = {
            "object_type": options["kind"],
            "object_id": options["object"],
            "action": options["action"],
            "actor_name": options["by"],
            "source": options["source"],
            "environment": options["environment"],
        }
        events = events.filter(**{name: text for name, text in named.items() if text is not None})
        chosen = {
            name: options[name]
            for name in ("kind", "object", "key", "action", "by", "source", "environment",
                         "after", "before")
            if options[name] is not None
        }  # fmt: skip
        if options["key"] is not None:
            key = self.find(options["key"])
            chosen["key"] = key.pk
            events = events.filter(pk__in=Event.objects.about(key).values("pk"))
        if options["after"] is not None:
            events = events.since(timestamp(options["after"]))
        if options["before"] is not None:
            events = events.before(timestamp(options["before"]))
        # What follows, this export's own event too, belongs to the next export.
        exported = record_export(actor(), "ndjson", mask(urlencode(chosen)))
        events = events.filter(pk__lt=exported.pk)
        for event in events.iterator(CHUNK):
            is_key = event.object_type == KEYS.model
            line = as_json(event) | {"key": event.object_id if is_key else None}
            self.stdout.write(json.dumps(line))
        self.stdout.flush()
