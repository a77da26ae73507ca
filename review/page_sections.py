"""The findings of a key on its page."""

from typing import Any

from django.http import HttpRequest
from django.utils import timezone

from backoffice.page_sections import page_section
from review import findings
from review.queue_pages import may_dismiss, offered


@page_section(
    "apikey",
    "findings",
    "Findings",
    permission="logs.view_requestlog",
    template="review/key_findings.html",
    is_first=True,
)
def key_findings(request: HttpRequest, key: Any) -> dict[str, Any]:
    now = timezone.now()
    found = findings.of_key(key, now)
    return {
        "dismissed": findings.dismissed_of_key(key, now),
        "may_dismiss": may_dismiss(request),
        "key": key,
        "findings": [
            (finding, sentence, offered(request, finding.remedies)) for finding, sentence in found
        ],
    }
