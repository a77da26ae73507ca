import django.db.models.deletion
from django.db import migrations, models

from database.constraints import DropNotNull


class Migration(migrations.Migration):

    dependencies = [
        ("apikeys", "0010_index_keys"),
        ("jobs", "0008_delete_expiry_notices"),
    ]

    operations = [
        DropNotNull(
            "job",
            "key",
            models.ForeignKey(
                null=True,
                db_index=False,
                on_delete=django.db.models.deletion.PROTECT,
                related_name="jobs",
                to="apikeys.apikey",
            ),
        ),
        migrations.AddField(
            "job", "priority", models.SmallIntegerField(db_default=0, default=0)
        ),
        migrations.AddField(
            "jobattempt",
            "exception",
            models.CharField(blank=True, db_default="", max_length=300),
        ),
        migrations.AddField(
            "jobattempt", "traceback", models.TextField(blank=True, db_default="")
        ),
    ]
