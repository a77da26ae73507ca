"""What Django REST Framework answers: refusals as Latchkey's, and the fields of the admitted.

Apart from the authentication class, which REST framework's views import by its settings.
"""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from rest_framework.views import exception_handler as default_handler

from latchkey_guard.rest_framework import DECISION, Refused


def exception_handler(exc: Exception, context: dict[str, Any]) -> Any:
    """Answer a refusal with its problem details, and everything else as REST framework does."""
    if not isinstance(exc, Refused):
        return default_handler(exc, context)
    decision = exc.decision
    return HttpResponse(decision.body(), status=decision.status, headers=decision.headers())


def decision_headers(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Add the request id and the limits to admitted answers; a middleware, if you want these."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        decision = request.META.get(DECISION)
        for name, value in (decision.headers() if decision else {}).items():
            response.headers.setdefault(name, value)
        return response

    return middleware
