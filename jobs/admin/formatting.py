"""How a job is shown: its state while it runs, its parameters and its result."""

import json
from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from jobs.models import Job, JobStatus
from jobs.models.jobs import ENDED
from logs.capture import redaction

# A remaining time worked out from less than this is a guess.
MIN_SHARE_DONE = 0.02


def state_of(job: Job, now: datetime | None = None) -> dict[str, Any]:
    return {
        "status": job.status,
        "label": job.get_status_display(),
        "percent": job.percent or 0,
        "attempt": job.attempt,
        "is_over": job.status in ENDED,
        "texts": {
            "progress": progress_text(job),
            "attempts": f"{job.attempt} of {job.max_attempts}",
            "timing": timing_text(job, now or timezone.now()),
        },
    }


def progress_text(job: Job) -> str:
    if job.total:
        return f"{job.done:,} of {job.total:,}"
    return job.message


def timing_text(job: Job, now: datetime) -> str:
    """Say how long a job takes: it waits, runs, has failed or is over."""
    if job.status == JobStatus.FAILED:
        if job.run_at <= now:
            return "Next attempt is due"
        return f"Next attempt in {duration(job.run_at - now)}, at {job.run_at:%H:%M:%S} UTC"
    if job.status == JobStatus.QUEUED:
        return f"Waiting for {duration(now - job.queued_at)}"
    if job.started_at is None:
        return ""
    if job.status == JobStatus.RUNNING:
        elapsed = now - job.started_at
        left = remaining(job, elapsed)
        estimate = f", about {duration(left)} left" if left is not None else ""
        return f"Running for {duration(elapsed)}{estimate}"
    return f"Took {duration(job.finished_at - job.started_at)}" if job.finished_at else ""


def remaining(job: Job, elapsed: timedelta) -> timedelta | None:
    """Return the time that is left at the pace so far; None while there is no pace yet.

    The pauses between attempts would count as work, so only of a first attempt.
    """
    if job.attempt != 1 or not job.total or job.done < job.total * MIN_SHARE_DONE:
        return None
    return elapsed * max(0, job.total - job.done) / job.done if job.done else None


def duration(span: timedelta) -> str:
    """Return ``3.2 s``, ``12 s``, ``1 min 5 s``, ``2 h 3 min`` or ``3 d 4 h``."""
    seconds = max(0.0, span.total_seconds())
    if seconds < 10:
        return f"{seconds:.1f} s"
    for unit, length, smaller, part in (
        ("d", 86_400, "h", 3600),
        ("h", 3600, "min", 60),
        ("min", 60, "s", 1),
    ):
        if seconds >= length:
            whole, rest = divmod(int(seconds), length)
            return f"{whole} {unit} {rest // part} {smaller}"
    return f"{int(seconds)} s"


def pretty(value: Any) -> str:
    text = redaction.body(json.dumps(value, ensure_ascii=False).encode())
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except ValueError:
        # Redaction made a control character visible, and its escape is not valid JSON.
        return text
