"""Headers of every page people see."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

# The admin's Alpine.js evaluates expressions in attributes. Nothing is loaded from elsewhere
# and nothing is sent elsewhere: a page that shows a secret cannot be made to give it away.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval';"
    " style-src 'self' 'unsafe-inline'; img-src 'self' data:; base-uri 'none';"
    " form-action 'self'; frame-ancestors 'none'; object-src 'none'"
)


class SecurityHeadersMiddleware:
    """Sends the content security policy."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request."""
        response = self.get_response(request)
        response["Content-Security-Policy"] = POLICY
        return response
