"""``{% customer_jobs customer %}``: the last jobs about a customer, for its page."""

from typing import Any

from django import template

from jobs.models import Job

register = template.Library()

SHOWN = 10


@register.inclusion_tag("jobs/job_list.html", takes_context=True)
def customer_jobs(context: dict[str, Any], customer: Any) -> dict[str, Any]:
    if not context["request"].user.has_perm("jobs.view_job"):
        return {}
    rows = Job.objects.filter(customers=customer).select_related("key").order_by("-pk")
    return {"is_shown": True, "customer": customer, "jobs": rows[:SHOWN]}
