"""What is done for every request under ``/api/``, a view reached or not."""

from collections.abc import Callable

from django.http import HttpRequest
from django.http.response import HttpResponseBase

from apikeys.guard import deadline, problems
from apikeys.guard.problems import FieldErrors, Problem

API = "/api/"


class ApiMiddleware:
    """Starts the request's deadline, and puts any other error page into the one error voice.

    Whatever Django answers by itself (an unknown path, a host it does not serve, a crash
    before the view, a debug page) leaves here as problem details.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer the request."""
        if not request.path_info.startswith(API):
            return self.get_response(request)
        with deadline.running():
            response = self.get_response(request)
        if response.status_code >= 400 and response["Content-Type"] != problems.MEDIA_TYPE:
            return problems.respond(request, _problem(response.status_code))
        return response


def _problem(status: int) -> Problem:
    match status:
        case 404:
            return problems.not_found()
        case 405:
            return Problem("method_not_allowed", "Use another method.")
        case 503:
            return problems.unavailable()
        case _ if status < 500:
            return FieldErrors([("request", "The request is not acceptable as it is.")])
        case _:
            return problems.internal_error()
