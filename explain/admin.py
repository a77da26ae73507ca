"""The panel on the page of a logged request: why, what has changed, whether now, and remedies."""

from typing import Any

from django.http import HttpRequest

from backoffice.page_sections import page_section
from explain.explanation import explain, steps
from explain.remedies import offers_for
from logs.models import RequestLog


@page_section(
    "requestlog",
    "explanation",
    "Why it was answered so",
    permission="logs.view_requestlog",
    template="explain/panel.html",
)
def explanation_panel(request: HttpRequest, log: RequestLog) -> dict[str, Any]:
    may = request.user.has_perm
    is_public = log.key_id is None and not log.code
    if is_public or not may("apikeys.view_apikey"):
        return {}
    explanation = explain(log)
    is_refused = log.status >= 400
    return {
        "explanation": explanation,
        "log": log,
        "is_refused": is_refused,
        "steps": steps(explanation),
        "offers": offers_for(request.user, explanation) if is_refused else [],
        # Who changed the key, and to what, is for those who may read the trail.
        "shows_changes": may("audit.view_event"),
    }
