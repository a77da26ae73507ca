from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("apikeys", "0003_keep_the_etag_of_an_answer"),
    ]

    operations = [
        migrations.RenameField("event", "act", "action"),
        migrations.RenameField("event", "door", "source"),
    ]
