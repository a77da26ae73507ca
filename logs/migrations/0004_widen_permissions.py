from django.db import migrations, models


class Widen(migrations.AlterField):
    """SQLite takes text of any length, and Django would copy the table there."""

    def database_forwards(self, app_label, schema_editor, from_state, to_state):
        if schema_editor.connection.vendor == "postgresql":
            super().database_forwards(app_label, schema_editor, from_state, to_state)


class Migration(migrations.Migration):

    dependencies = [
        ('logs', '0003_decisions_for_services'),
    ]

    operations = [
        Widen(
            model_name='requestlog',
            name='permission',
            field=models.CharField(max_length=81, null=True),
        ),
        Widen(
            model_name='permissionuse',
            name='permission',
            field=models.CharField(max_length=81),
        ),
    ]
