"""The request log in the admin."""

from logs.admin.page_sections import customer_requests, key_usage, service_usage
from logs.admin.requests import RequestLogAdmin

__all__ = ["RequestLogAdmin", "customer_requests", "key_usage", "service_usage"]
