"""Jobs in the admin."""

from jobs.admin.jobs import JobAdmin

__all__ = ["JobAdmin"]
