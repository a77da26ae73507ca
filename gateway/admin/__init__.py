"""Services in the admin."""

from gateway.admin.service_pages import ServiceAdmin

__all__ = ["ServiceAdmin"]
