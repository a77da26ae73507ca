"""What the audit trail says of jobs: what people do to one. Its attempts are on its own page."""

from django.db import models

from audit.kinds import Kind


class JobAction(models.TextChoices):
    """An audited action on a job."""

    CANCELLED = "cancelled", "Cancelled"
    RETRIED = "retried", "Tried again"


JOBS = Kind("jobs.job", "Job", JobAction, name_field="type", permission="jobs.view_job")
