"""``{% key_usage key %}``: a key's use, for its page in the admin."""

from typing import Any

from django import template

from logs import usage_charts

register = template.Library()


@register.inclusion_tag("logs/key_usage.html", takes_context=True)
def key_usage(context: dict[str, Any], key: Any) -> dict[str, Any]:
    """Show what was done with a key, to whoever may see requests."""
    request = context["request"]
    if key is None or not request.user.has_perm("logs.view_requestlog"):
        return {}
    return {"key": key, **usage_charts.key_usage_context(key, request.GET.get("period", ""))}
