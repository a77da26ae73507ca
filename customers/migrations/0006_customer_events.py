import database.uuid7
import django.db.models.deletion
import django.utils.timezone
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('customers', '0005_rename_action_and_source'),
    ]

    operations = [
        migrations.CreateModel(
            name='CustomerEvent',
            fields=[
                ('id', models.UUIDField(default=database.uuid7.new_id, editable=False, primary_key=True, serialize=False)),
                ('source', models.CharField(choices=[('admin', 'Admin'), ('command', 'Command'), ('api', 'API'), ('system', 'System')], max_length=7)),
                ('actor_name', models.CharField(max_length=150, verbose_name='by')),
                ('address', models.GenericIPAddressField(null=True, verbose_name='from')),
                ('created_at', models.DateTimeField(default=django.utils.timezone.now, verbose_name='when')),
                ('action', models.CharField(choices=[('created', 'Created'), ('updated', 'Updated'), ('suspended', 'Suspended'), ('resumed', 'Resumed'), ('deleted', 'Deleted')], max_length=9)),
                ('changes', models.JSONField(default=dict)),
                ('customer', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.DO_NOTHING, related_name='events', to='customers.customer')),
            ],
            options={
                'ordering': ['-id'],
                'default_permissions': (),
                'indexes': [models.Index(fields=['customer', '-id'], name='customerevent_by_customer')],
            },
        ),
    ]
