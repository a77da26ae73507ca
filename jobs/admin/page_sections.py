"""The jobs on the pages of customers and keys."""

from typing import Any

from django.http import HttpRequest

from backoffice.page_sections import page_section
from jobs.models import Job

SHOWN = 10


@page_section("customer", "jobs", "Jobs", permission="jobs.view_job", template="jobs/job_list.html")
def customer_jobs(request: HttpRequest, customer: Any) -> dict[str, Any]:
    rows = Job.objects.filter(customers=customer).select_related("key").order_by("-pk")
    return {"customer": customer, "jobs": rows[:SHOWN]}


@page_section(
    "apikey",
    "jobs",
    "Jobs",
    permission="jobs.view_job",
    template="jobs/key_jobs.html",
    tab="jobs",
)
def key_jobs(request: HttpRequest, key: Any) -> dict[str, Any]:
    rows = Job.objects.filter(key=key).without_bulk().order_by("-pk")
    return {"key": key, "jobs": rows[:SHOWN]}
