import django.db.models.deletion
from django.db import migrations, models


def add_column(table, name, definition, field):
    """Django would copy the table on SQLite, which has no need of it for a constant default."""
    model = table.removeprefix("logs_")
    return migrations.RunSQL(
        f"ALTER TABLE {table} ADD COLUMN {name} {definition} NOT NULL",
        f"ALTER TABLE {table} DROP COLUMN {name}",
        state_operations=[migrations.AddField(model_name=model, name=name, field=field)],
    )


class Migration(migrations.Migration):

    dependencies = [
        ('apikeys', '0004_rename_action_and_source'),
        ('customers', '0006_customer_events'),
        ('logs', '0002_requests_by_job_and_spool_positions'),
    ]

    operations = [
        add_column(
            'logs_requestlog', 'kind', "varchar(8) DEFAULT 'request'",
            models.CharField(choices=[('request', 'Request'), ('decision', 'Decision')], db_default='request', max_length=8),
        ),
        migrations.AddField(
            model_name='requestlog',
            name='service',
            field=models.CharField(max_length=40, null=True),
        ),
        migrations.AddField(
            model_name='requestlog',
            name='host',
            field=models.CharField(max_length=255, null=True),
        ),
        migrations.AddField(
            model_name='requestlog',
            name='caller',
            field=models.ForeignKey(db_constraint=False, db_index=False, null=True, on_delete=django.db.models.deletion.DO_NOTHING, related_name='+', to='apikeys.apikey'),
        ),
        migrations.AddIndex(
            model_name='requestlog',
            index=models.Index(condition=models.Q(('service__isnull', False)), fields=['service', '-id'], name='request_by_service'),
        ),
        migrations.AddIndex(
            model_name='requestlog',
            index=models.Index(fields=['kind', '-id'], name='request_by_kind'),
        ),
        add_column(
            'logs_hourlyusage', 'service', "varchar(40) DEFAULT ''",
            models.CharField(blank=True, db_default='', max_length=40),
        ),
        migrations.RemoveConstraint(
            model_name='hourlyusage',
            name='usage_once_an_hour',
        ),
        migrations.AddConstraint(
            model_name='hourlyusage',
            constraint=models.UniqueConstraint(fields=('key_id', 'hour', 'environment', 'service'), name='usage_once_an_hour'),
        ),
        migrations.AddIndex(
            model_name='hourlyusage',
            index=models.Index(fields=['service', 'hour'], name='usage_by_service'),
        ),
    ]
