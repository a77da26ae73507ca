"""The jobs section of a customer's page."""

from typing import Any

from django.http import HttpRequest

from backoffice.page_sections import page_section
from jobs.models import Job

SHOWN = 10


@page_section("customer", "jobs", "Jobs", permission="jobs.view_job", template="jobs/job_list.html")
def customer_jobs(request: HttpRequest, customer: Any) -> dict[str, Any]:
    rows = Job.objects.filter(customers=customer).select_related("key").order_by("-pk")
    return {"customer": customer, "jobs": rows[:SHOWN]}
