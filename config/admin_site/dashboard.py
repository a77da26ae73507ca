"""The admin's dashboard: keys by status, what to review, and the traffic."""

import time
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from apikeys.environments import Environment
from apikeys.models import ApiKey, Status
from logs import usage_charts
from logs.capture import spool
from review import findings

# With more keys than this, their numbers are added up once a minute and not for everyone who looks.
MANY_KEYS = 2_000
KEPT_SECONDS = 60
# Each process has its own: when they were added up, and the numbers.
_kept: dict[str, tuple[float, dict[str, Any]]] = {}


def add_overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    if not request.user.has_perm("apikeys.view_apikey"):
        return context
    keys = ApiKey.objects.all()
    environments: list[dict[str, Any]] = [
        {
            "name": environment.label,
            "value": environment.value,
            "counts": [
                (
                    status.label,
                    status.value,
                    keys.filter(environment=environment).with_status(status.value).count(),
                )
                for status in Status
            ],
        }
        for environment in Environment
    ]
    if request.user.has_perm("logs.view_requestlog"):
        behind = spool.backlog(settings.LOG_SPOOL)
        number = sum(count for row in environments for *_, count in row["counts"])
        numbers = _numbers_kept() if number > MANY_KEYS else _numbers()
        context |= numbers | {"behind": behind, "is_behind": behind.lag_seconds > 5}
    return context | {"environments": environments}


def _numbers() -> dict[str, Any]:
    """Return the traffic of a day, and how many keys each finding has."""
    counts = findings.counts(timezone.now())
    review = [(finding, f"{counts[finding.name]:,}") for finding in findings.FINDINGS]
    return usage_charts.overview() | {"review": review}


def _numbers_kept() -> dict[str, Any]:
    now = time.monotonic()
    made_at, numbers = _kept.get("numbers", (0.0, {}))
    if not numbers or now - made_at >= KEPT_SECONDS:
        numbers = _numbers()
        _kept["numbers"] = (now, numbers)
    return numbers
