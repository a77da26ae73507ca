"""What every page people see passes: headers, addresses, and the way to the database."""

from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import connection
from django.http import HttpRequest, HttpResponseBadRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from apikeys.credentials import mask
from apikeys.guard.middleware import API, ARRIVED_AT
from config.admin_site import error_views
from config.databases import PAGE_WRITE_SECONDS
from database import deadline
from database.postgresql_connection import connect

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
        response = self.get_response(request)
        response["Content-Security-Policy"] = POLICY
        return response


class NoCredentialInAddressMiddleware:
    """Refuses pages whose address holds a credential: a page, a redirect or a log would repeat it.

    Under ``/api/`` the guard answers, in words that repeat nothing.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        address = unquote(request.get_full_path())
        if not request.path_info.startswith(API) and mask(address) != address:
            return HttpResponseBadRequest(
                "An address must not hold a key. Search for the key id, and regenerate the key.",
                content_type="text/plain; charset=utf-8",
            )
        return self.get_response(request)


class ReadableAddressMiddleware:
    """Refuses pages whose address or cookies hold a NUL, which PostgreSQL takes in no query.

    Under ``/api/`` each field refuses it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(API):
            texts = (unquote(request.get_full_path()), *request.COOKIES.values())
            if any("\0" in text for text in texts):
                return error_views.bad_request(request)
        return self.get_response(request)


class LiveConnectionMiddleware:
    """Connects before the admin needs the database, whatever connections a restart left behind.

    The guard does the same with a query of its own. A page waits for the database for so long in
    all, from its arrival: not once for the session, once for the login and once for itself.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith("/admin/"):
            return self.get_response(request)
        if connection.vendor == "postgresql":
            with deadline.running():
                connect(connection)
        with deadline.running(PAGE_WRITE_SECONDS, since=request.META.get(ARRIVED_AT)):
            return self.get_response(request)


class _ForPages(MiddlewareMixin):
    """What only people need: a key has no session, no user and no messages."""

    def __call__(self, request: HttpRequest) -> Any:
        if request.path_info.startswith(API):
            return self.get_response(request)
        return super().__call__(request)


class PageSessionMiddleware(_ForPages, SessionMiddleware):
    """Sessions of people."""


class PageAuthenticationMiddleware(_ForPages, AuthenticationMiddleware):
    """Who is logged in."""


class PageMessageMiddleware(_ForPages, MessageMiddleware):
    """What the last page has to say on the next."""
