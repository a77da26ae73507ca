from django.db import migrations, models


def count(apps, schema_editor):
    """Count the customers of the jobs there are; one without any may be about all."""
    rows = apps.get_model("jobs", "JobCustomer").objects.values_list("job_id")
    numbers = rows.annotate(number=models.Count("pk"))
    job = apps.get_model("jobs", "Job")
    for job_id, number in numbers.iterator():
        job.objects.filter(pk=job_id).update(customer_count=number)


class Migration(migrations.Migration):

    dependencies = [("jobs", "0004_keep_parameters_as_sent")]

    operations = [
        migrations.AddField(
            model_name="job",
            name="customer_count",
            field=models.PositiveIntegerField(
                help_text="How many customers it is about; none: all.", null=True
            ),
        ),
        migrations.RunPython(count, migrations.RunPython.noop),
    ]
