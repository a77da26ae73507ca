from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [
        ("jobs", "0005_count_the_customers_of_a_job"),
    ]

    operations = [
        migrations.RenameField("jobevent", "act", "action"),
        migrations.RenameField("jobevent", "door", "source"),
        migrations.RenameField("job", "most_attempts", "max_attempts"),
    ]
