from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('apikeys', '0008_tags_owner_and_note'),
    ]

    operations = [
        migrations.AddField(
            model_name='apikey',
            name='hand_over_id',
            field=models.UUIDField(editable=False, null=True),
        ),
        migrations.AddField(
            model_name='apikey',
            name='is_awaiting',
            field=models.BooleanField(default=False, editable=False, verbose_name='awaiting hand-over'),
        ),
    ]
