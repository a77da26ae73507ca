"""In a migration of its own: an index is made concurrently outside of a transaction alone."""

from django.db import migrations, models

from database.concurrent_indexes import AddIndexConcurrently


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('logs', '0009_traces_of_requests'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='requestlog',
            index=models.Index(condition=models.Q(('trace_id__isnull', False)), fields=['trace_id', '-id'], name='request_by_trace'),
        ),
    ]
