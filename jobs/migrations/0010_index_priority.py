from django.db import migrations, models

from database.concurrent_indexes import AddIndexConcurrently


class Migration(migrations.Migration):
    # The index is made without a transaction.
    atomic = False

    dependencies = [("jobs", "0009_jobs_without_a_key")]

    operations = [
        AddIndexConcurrently(
            "job",
            models.Index(
                fields=["status", "-priority", "run_at", "id"], name="job_by_priority"
            ),
        ),
    ]
