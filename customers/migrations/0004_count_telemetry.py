from collections import Counter
from uuid import UUID

from django.db import migrations

EVERYTHING = UUID(int=0)


def count(apps, schema_editor):
    """Count the events that are there; `customers.telemetry.rollups` keeps the count from now on."""
    events = apps.get_model("customers", "TelemetryEvent").objects.order_by()
    total = apps.get_model("customers", "TelemetryTotal")
    numbers = Counter()
    columns = ("environment", "customer_id", "license_id", "type", "occurred_at")
    for environment, customer, license_, kind, at in events.values_list(*columns).iterator():
        hour = at.replace(minute=0, second=0, microsecond=0)
        for subject in (EVERYTHING, customer, license_):
            if subject is not None:
                numbers[environment, subject, hour, kind] += 1
    total.objects.bulk_create(
        (
            total(environment=environment, subject=subject, hour=hour, type=kind, number=number)
            for (environment, subject, hour, kind), number in numbers.items()
        ),
        batch_size=1000,
    )


class Migration(migrations.Migration):

    dependencies = [
        ('customers', '0003_telemetry_totals'),
    ]

    operations = [migrations.RunPython(count, migrations.RunPython.noop)]
