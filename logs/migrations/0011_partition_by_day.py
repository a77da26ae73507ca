"""One way: the version before reads and writes partitions too.

Not atomic: a large table is locked for a moment at a time, and its rows are read without one.
"""

from django.db import migrations

from logs.partitions import conversion


class Migration(migrations.Migration):

    atomic = False

    dependencies = [
        ('logs', '0010_index_traces'),
    ]

    operations = [
        migrations.RunPython(conversion.convert, migrations.RunPython.noop),
    ]
