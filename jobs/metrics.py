"""Jobs and workers, for Prometheus."""

from collections.abc import Iterator

from django.db import connection
from django.db.models import Count

from database.connections.postgresql import connect
from jobs.models import Job, Worker
from metrics.families import Family, Readings, Sample

JOBS = Family(
    "latchkey_jobs",
    "Jobs that are kept (JOB_RETENTION_DAYS after their end); failed ones are going to be retried.",
    ("type", "status"),
)
WORKERS = Family("latchkey_workers", "Workers that have told within 15 s that they live.")


def read_jobs() -> Iterator[Sample]:
    connect(connection)
    rows = Job.objects.order_by().values_list("type", "status").annotate(number=Count("pk"))
    for kind, status, number in rows:
        yield Sample(JOBS, (kind, status), number)
    living = Worker.objects.alive()
    yield Sample(WORKERS, (), living.count())


METRICS = (Readings("jobs", (JOBS, WORKERS), read_jobs, kept_seconds=15),)
