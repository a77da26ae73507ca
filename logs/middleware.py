"""The outermost middleware: gives every request its id."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from apikeys.guard.trace import Trace
from apikeys.identifiers import new_id


class RequestLogMiddleware:
    """Names each request before anything can fail, and tells the caller the name."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request, with its id in ``X-Request-ID``."""
        trace = Trace(str(new_id()))
        request.trace = trace  # type: ignore[attr-defined]
        response = self.get_response(request)
        response["X-Request-ID"] = trace.request_id
        return response
