"""The timeline on a job's page."""

from datetime import datetime
from typing import NamedTuple

from audit.models import Event
from jobs.models import Job


class Moment(NamedTuple):
    """One entry of a job's timeline."""

    at: datetime
    title: str
    until: datetime | None = None
    by: str = ""
    error: str = ""
    colour: str = ""


def timeline_of(job: Job) -> list[Moment]:
    moments = [Moment(job.queued_at, "Queued")]
    moments += [
        Moment(a.started_at, f"Attempt {a.number}", a.finished_at, f"on {a.worker}", a.error,
               "revoked" if a.error else "created")
        for a in job.attempts.all()
    ]  # fmt: skip
    for event in Event.objects.about(job):
        whence = f" from {event.address}" if event.address else ""
        by = f"by {event.actor_name}, {event.get_source_display().lower()}{whence}"
        moments.append(Moment(event.created_at, event.get_action_display(), by=by))
    if job.finished_at is not None:
        moments.append(Moment(job.finished_at, f"Ended: {job.get_status_display().lower()}"))
    return sorted(moments, key=lambda moment: moment.at)
