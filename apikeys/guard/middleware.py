"""The middleware of the API, which also covers requests that reach no view."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest
from django.http.request import UnreadablePostError
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from apikeys.guard import problems
from apikeys.guard.context import context_of
from apikeys.guard.problems import FieldErrors, Problem
from database import deadline

API = "/api/"
# What the server says in META: when the request arrived (``time.monotonic``), since it may have
# waited for a thread; its path as it was sent; and the headers that were there more than once.
ARRIVED_AT = "latchkey.arrived_at"
RAW_PATH = "latchkey.raw_path"
REPEATED = "latchkey.repeated"


class ApiMiddleware:
    """Names the request, starts its deadline, and answers every error as problem details.

    Whatever Django answers by itself (an unknown path, a host it does not serve, a crash
    before the view, a debug page) leaves here as problem details.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        context = context_of(request)
        is_api = request.path_info.startswith(API)
        response = self._answer(request) if is_api else self.get_response(request)
        response["X-Request-ID"] = context.request_id
        response["Content-Security-Policy"] = settings.CONTENT_SECURITY_POLICY
        return response

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        with deadline.running(since=request.META.get(ARRIVED_AT)):
            response = self.get_response(request)
        if request.META.get("CONTENT_LENGTH"):
            _keep_body(request)
        if response.status_code >= 400 and response["Content-Type"] != problems.MEDIA_TYPE:
            return problems.respond(request, _problem(response.status_code))
        return response


class PagesOnly(MiddlewareMixin):
    """A middleware for pages, which skips requests under ``/api/``."""

    def __call__(self, request: HttpRequest) -> Any:
        is_api = request.path_info.startswith(API)
        return self.get_response(request) if is_api else self.answer_page(request)

    def answer_page(self, request: HttpRequest) -> Any:
        return super().__call__(request)


def body_length(meta: Mapping[str, Any]) -> int:
    text = meta.get("CONTENT_LENGTH") or "0"
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else 0


def _keep_body(request: HttpRequest) -> None:
    """Keep for the request log what a known key sent to an endpoint that did not read it."""
    context = context_of(request)
    is_untouched = context.body is None and not request._read_started  # type: ignore[attr-defined]
    if (
        is_untouched
        and context.key is not None
        and body_length(request.META) <= settings.LOG_BODY_LIMIT
    ):
        with suppress(UnreadablePostError, RequestDataTooBig):
            context.body = request.body


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
