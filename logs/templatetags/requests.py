"""``{% customer_requests customer %}``: the last requests about a customer, for its page."""

from typing import Any

from django import template

from logs.models import RequestLog

register = template.Library()

SHOWN = 10


@register.inclusion_tag("logs/request_list.html", takes_context=True)
def customer_requests(context: dict[str, Any], customer: Any) -> dict[str, Any]:
    if not context["request"].user.has_perm("logs.view_requestlog"):
        return {}
    rows = RequestLog.objects.filter(customer=customer).select_related("key").newest_first()
    return {"is_shown": True, "customer": customer, "records": rows[:SHOWN]}
