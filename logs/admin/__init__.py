"""The request log in the admin."""

from logs.admin.requests import RequestLogAdmin

__all__ = ["RequestLogAdmin"]
