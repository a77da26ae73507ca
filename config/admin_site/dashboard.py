"""The admin's dashboard: unused and expiring keys first."""

from datetime import timedelta
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils import timezone

from apikeys.environments import Environment
from apikeys.models import ApiKey, Status
from logs import usage_charts
from logs.capture import spool

EXPIRING_WITHIN = timedelta(days=30)
IDLE_FOR = timedelta(days=90)
LISTED = 8


def add_overview(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    if not request.user.has_perm("apikeys.view_apikey"):
        return context
    now = timezone.now()
    keys = ApiKey.objects.all()
    if request.user.has_perm("logs.view_requestlog"):
        behind = spool.backlog(settings.LOG_SPOOL)
        context |= usage_charts.overview() | {"behind": behind, "is_behind": behind.lag_seconds > 5}
    return context | {
        "environments": [
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
        ],
        "expiring": keys.expiring_before(now + EXPIRING_WITHIN).order_by("expires_at")[:LISTED],
        "idle": keys.active().idle_since(now - IDLE_FOR).order_by("last_used_at")[:LISTED],
    }
