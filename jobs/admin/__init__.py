"""Jobs in the admin."""

from jobs.admin.finders import find_jobs
from jobs.admin.jobs import JobAdmin
from jobs.admin.page_sections import customer_jobs, key_jobs

__all__ = ["JobAdmin", "customer_jobs", "find_jobs", "key_jobs"]
