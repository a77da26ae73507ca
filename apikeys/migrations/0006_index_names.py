"""In a migration of its own: an index is made concurrently outside of a transaction alone."""

from django.conf import settings
from django.db import migrations, models

import database.fields
from database.concurrent_indexes import AddIndexConcurrently


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('apikeys', '0005_custom_permissions'),
        ('customers', '0007_index_names'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='apikey',
            index=models.Index(database.fields.CaselessName('name'), name='apikey_by_name'),
        ),
    ]
