"""Middleware of pages; requests under ``/api/`` do not come here."""

from typing import Any
from urllib.parse import unquote

from django.db import connection
from django.http import HttpRequest, HttpResponseBadRequest
from django.http.response import HttpResponseBase
from django.utils.deprecation import MiddlewareMixin

from apikeys.credentials import mask
from apikeys.guard.middleware import ARRIVED_AT
from config.admin_site import error_views
from config.databases import PAGE_WRITE_SECONDS
from database import deadline
from database.postgresql_connection import connect


class AddressMiddleware(MiddlewareMixin):
    """Refuses page URLs that hold a credential or a NUL.

    A credential in it would be repeated by a page, a redirect or a log. PostgreSQL takes a NUL,
    in an address or a cookie, in no query. Under ``/api/`` the guard refuses both.
    """

    def process_request(self, request: HttpRequest) -> HttpResponseBase | None:
        address = unquote(request.get_full_path())
        if mask(address) != address:
            return HttpResponseBadRequest(
                "An address must not hold a key. Search for the key id, and regenerate the key.",
                content_type="text/plain; charset=utf-8",
            )
        if any("\0" in text for text in (address, *request.COOKIES.values())):
            return error_views.bad_request(request)
        return None


class LiveConnectionMiddleware(MiddlewareMixin):
    """Connects before the admin needs the database, whatever connections a restart left behind.

    The guard does the same with a query of its own. A page waits for the database for so long in
    all, from its arrival: not once for the session, once for the login and once for itself.
    """

    def __call__(self, request: HttpRequest) -> Any:
        if not request.path_info.startswith("/admin/"):
            return self.get_response(request)
        if connection.vendor == "postgresql":
            with deadline.running():
                connect(connection)
        with deadline.running(PAGE_WRITE_SECONDS, since=request.META.get(ARRIVED_AT)):
            return self.get_response(request)
