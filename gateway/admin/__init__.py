"""Services in the admin."""

from gateway.admin.finders import find_services
from gateway.admin.service_pages import ServiceAdmin

__all__ = ["ServiceAdmin", "find_services"]
