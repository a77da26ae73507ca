"""The middleware of the API, which also covers requests that reach no view."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, cast

from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponse
from django.http.request import UnreadablePostError
from django.http.response import HttpResponseBase
from django.urls import ResolverMatch, resolve

from apikeys.guard import problems
from apikeys.guard.context import context_of
from apikeys.guard.problems import FieldErrors, Problem
from database import deadline

API = "/api/"
# What the server says in META: when the request arrived (``time.monotonic``), since it may have
# waited for a thread; its path as it was sent; its headers alone, named as in META; and the names
# of those that were there more than once.
ARRIVED_AT = "latchkey.arrived_at"
RAW_PATH = "latchkey.raw_path"
HEADERS = "latchkey.headers"
REPEATED = "latchkey.repeated"


class ApiMiddleware:
    """Answers a request under ``/api/`` from its view, past the middleware of pages after this one.

    Names the request, starts its deadline, and makes problem details of whatever Django answers by
    itself: an unknown path, a host it does not serve, a crash before the view, a debug page.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self._get_view_response: Any = convert_exception_to_response(_Views())
        # What pages get from Django's middleware, and a policy for what is none.
        self._headers = {
            "Content-Security-Policy": settings.API_CONTENT_SECURITY_POLICY,
            "Cross-Origin-Opener-Policy": settings.SECURE_CROSS_ORIGIN_OPENER_POLICY,
            "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": settings.X_FRAME_OPTIONS,
        }
        self._hsts = f"max-age={settings.SECURE_HSTS_SECONDS}"

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        context = context_of(request)
        if request.path_info.startswith(API):
            response = self._answer(request)
            self._add_headers(request, response)
        else:
            response = self.get_response(request)
            if response.get("Content-Type", "").startswith("text/html"):
                # A page may have a stricter one of its own.
                response.setdefault("Content-Security-Policy", settings.CONTENT_SECURITY_POLICY)
                response["Permissions-Policy"] = settings.PERMISSIONS_POLICY
            else:
                response["Content-Security-Policy"] = settings.API_CONTENT_SECURITY_POLICY
        response["X-Request-ID"] = context.request_id
        return response

    def _answer(self, request: HttpRequest) -> HttpResponseBase:
        with deadline.running(since=request.META.get(ARRIVED_AT)):
            response: HttpResponseBase = self._get_view_response(request)
        if request.META.get("CONTENT_LENGTH"):
            _keep_body(request)
        if response.status_code >= 400 and response["Content-Type"] != problems.MEDIA_TYPE:
            return problems.respond(request, _problem(response.status_code))
        return response

    def _add_headers(self, request: HttpRequest, response: HttpResponseBase) -> None:
        headers = response.headers
        for name, value in self._headers.items():
            headers.setdefault(name, value)
        if settings.SECURE_HSTS_SECONDS and request.is_secure():
            headers["Strict-Transport-Security"] = self._hsts
        if isinstance(response, HttpResponse):
            headers.setdefault("Content-Length", str(len(response.content)))


class _Views:
    """Finds and calls the view of an address, as Django does behind the last middleware."""

    def __init__(self) -> None:
        # By address, for those that name an environment and nothing else: as many as there are
        # such endpoints.
        self._known: dict[str, ResolverMatch] = {}

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        # Refuses a host that is not served.
        request.get_host()
        match = self._known.get(request.path_info) or self._resolve(request.path_info)
        request.resolver_match = match
        response: Any = match.func(request, *match.args, **match.kwargs)
        if hasattr(response, "render"):
            response = response.render()
        return cast(HttpResponseBase, response)

    def _resolve(self, address: str) -> ResolverMatch:
        match = resolve(address)
        if not match.args and match.kwargs.keys() <= {"environment"}:
            self._known[address] = match
        return match


def headers_of(meta: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the headers of a request, named as in ``meta``, which is searched if it does not say.

    Only what the server hands over says it.
    """
    headers: Mapping[str, str] | None = meta.get(HEADERS)
    if headers is None:
        headers = {name: text for name, text in meta.items() if name.startswith("HTTP_")}
        if meta.get("CONTENT_TYPE"):
            headers["CONTENT_TYPE"] = meta["CONTENT_TYPE"]
    return headers


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
