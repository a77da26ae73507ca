"""The audit trail in the admin."""

from audit.admin.events import EventAdmin

__all__ = ["EventAdmin"]
