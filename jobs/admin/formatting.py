"""How a job is shown: its state while it runs, its parameters and its result."""

import json
from typing import Any

from jobs.models import Job
from jobs.models.jobs import ENDED
from logs.capture import redaction


def state_of(job: Job) -> dict[str, Any]:
    return {
        "status": job.status,
        "label": job.get_status_display(),
        "percent": job.percent or 0,
        "text": progress_text(job),
        "is_over": job.status in ENDED,
    }


def progress_text(job: Job) -> str:
    if job.total:
        return f"{job.done:,} of {job.total:,}"
    return job.message


def pretty(value: Any) -> str:
    text = redaction.body(json.dumps(value, ensure_ascii=False).encode())
    try:
        return json.dumps(json.loads(text), ensure_ascii=False, indent=2)
    except ValueError:
        # Redaction made a control character visible, and its escape is not valid JSON.
        return text
