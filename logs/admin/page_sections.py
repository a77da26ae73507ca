"""The request log's sections on the pages of keys, services and customers."""

from typing import Any

from django.http import HttpRequest

from backoffice.page_sections import page_section
from logs import usage_charts
from logs.models import RequestLog
from logs.stores import log_store

SHOWN = 10
VIEW = "logs.view_requestlog"


@page_section("apikey", "usage", "Usage", permission=VIEW, template="logs/key_usage.html")
def key_usage(request: HttpRequest, key: Any) -> dict[str, Any]:
    period = request.GET.get("period", "")
    return {"key": key, **usage_charts.key_usage(key, period)}


@page_section(
    "apikey",
    "requests",
    "Requests",
    permission=VIEW,
    template="logs/key_requests.html",
    tab="requests",
)
def key_requests(request: HttpRequest, key: Any) -> dict[str, Any]:
    newest = RequestLog.objects.filter(key=key).newest_first()
    period = request.GET.get("period", "")
    return {"key": key, "records": newest[:SHOWN], **usage_charts.key_requests(key, period)}


@page_section("service", "usage", "Usage", permission=VIEW, template="logs/service_usage.html")
def service_usage(request: HttpRequest, service: Any) -> dict[str, Any]:
    period = request.GET.get("period", "")
    return {"service": service, **usage_charts.service_usage(service.name, period)}


@page_section(
    "customer", "requests", "Requests", permission=VIEW, template="logs/request_list.html"
)
def customer_requests(request: HttpRequest, customer: Any) -> dict[str, Any]:
    newest = RequestLog.objects.filter(customer=customer).newest_first()
    rows = log_store().related(newest, "key")
    return {"customer": customer, "records": rows[:SHOWN]}
