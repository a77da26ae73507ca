from datetime import UTC

from django.db import migrations

from database.uuid7 import new_id


def take_over(apps, schema_editor):
    """Keep what was sent, or every key that expires soon would be announced again."""
    Alert = apps.get_model("alerts", "Alert")
    ExpiryNotice = apps.get_model("jobs", "ExpiryNotice")
    alerts = []
    for notice in ExpiryNotice.objects.select_related("key").iterator(500):
        at = notice.expires_at.astimezone(UTC)
        alerts.append(
            Alert(
                id=new_id(),
                key=notice.key,
                kind="expiry",
                window=f"{notice.days} days before {at:%Y-%m-%dT%H:%M:%S.%fZ}",
                subject=f"API key {notice.key.name} expires within {notice.days} days",
                text=f"The API key {notice.key.name} ({notice.key.pk}) expires at {at:%Y-%m-%d %H:%M} UTC.",
                created_at=notice.claimed_at,
                claimed_at=notice.claimed_at,
                sent_at=notice.sent_at,
            )
        )
    Alert.objects.bulk_create(alerts, batch_size=500, ignore_conflicts=True)


class Migration(migrations.Migration):
    dependencies = [
        ("alerts", "0001_initial"),
        ("jobs", "0006_rename_action_source_and_max_attempts"),
    ]

    operations = [migrations.RunPython(take_over, migrations.RunPython.noop)]
