from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("customers", "0004_count_telemetry"),
    ]

    operations = [
        migrations.RenameField("licenseevent", "act", "action"),
        migrations.RenameField("licenseevent", "door", "source"),
    ]
