"""Jobs in the admin."""

from jobs.admin.jobs import JobAdmin
from jobs.admin.page_sections import customer_jobs

__all__ = ["JobAdmin", "customer_jobs"]
