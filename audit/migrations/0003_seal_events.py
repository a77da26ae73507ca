"""Begins the chain with the events there are, in the order of their ids.

How an event is sealed is as ``audit.chain`` did it then, whatever it does now.
"""

import hashlib
import json
import secrets
from datetime import UTC

from django.db import migrations, models

CHUNK = 1000


def seal_events(apps, schema_editor):
    events = apps.get_model("audit", "Event").objects.order_by("pk")
    model = apps.get_model("audit", "Seal")
    sequence, previous, last = 0, "0" * 64, None
    while rows := list((events.filter(pk__gt=last) if last else events)[:CHUNK]):
        sealed = []
        for event in rows:
            sequence += 1
            salt = secrets.token_hex(16)
            content = digest([salt, event.object_label, event.reason, event.changes])
            previous = digest(
                [
                    sequence, previous, str(event.pk), moment(event.created_at), event.source,
                    event.actor_name, event.actor_id, event.address, event.action,
                    event.object_type, event.object_id, event.environment, content,
                ]
            )
            sealed.append(
                model(
                    sequence=sequence, event_id=event.pk, salt=salt, content=content, hash=previous
                )
            )
        model.objects.bulk_create(sealed)
        last = rows[-1].pk


def digest(value):
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def moment(timestamp):
    return timestamp.astimezone(UTC).isoformat(timespec="microseconds")


class Migration(migrations.Migration):
    dependencies = [
        ("audit", "0002_move_events"),
    ]

    operations = [
        migrations.CreateModel(
            name="Seal",
            fields=[
                ("sequence", models.BigIntegerField(primary_key=True, serialize=False)),
                ("event_id", models.UUIDField(unique=True)),
                ("salt", models.CharField(blank=True, max_length=32)),
                ("content", models.CharField(max_length=64)),
                ("hash", models.CharField(max_length=64)),
            ],
            options={"default_permissions": ()},
        ),
        migrations.RunPython(seal_events, migrations.RunPython.noop),
    ]
