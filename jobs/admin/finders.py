"""Jobs in the one search."""

from collections.abc import Iterator

from backoffice.finding.registry import Found, by_id, finder
from backoffice.finding.terms import Term
from jobs.models import Job


@finder("Background jobs", "id", permission="jobs.view_job")
def find_jobs(term: Term) -> Iterator[Found]:
    for job in by_id(Job.objects.without_bulk(), term):
        detail = f"{job.get_status_display()}, {job.queued_at:%Y-%m-%d %H:%M:%S} UTC"
        yield Found(job, job.type, detail, term.is_whole_id)
