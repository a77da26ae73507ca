"""In a migration of its own: an index is made concurrently outside of a transaction alone."""

from django.db import migrations, models

from database.concurrent_indexes import AddIndexConcurrently


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('apikeys', '0009_hand_over'),
    ]

    operations = [
        AddIndexConcurrently(
            model_name='apikey',
            index=models.Index(fields=['owner', '-created_at'], name='apikey_by_owner'),
        ),
        AddIndexConcurrently(
            model_name='apikey',
            index=models.Index(fields=['environment', 'revoked_at', 'expires_at', 'is_awaiting'], name='apikey_by_status'),
        ),
        AddIndexConcurrently(
            model_name='apikey',
            index=models.Index(condition=models.Q(('is_awaiting', True)), fields=['environment'], name='apikey_awaiting'),
        ),
    ]
