from django.db import migrations, models


def count(apps, schema_editor):
    """Count the customers of the jobs there are; one without any may be about all."""
    job_customer = apps.get_model("jobs", "JobCustomer")
    rows = job_customer.objects.filter(job=models.OuterRef("pk")).order_by().values("job")
    numbers = rows.annotate(number=models.Count("pk")).values("number")
    apps.get_model("jobs", "Job").objects.update(customer_count=models.Subquery(numbers))


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
