"""Middleware of pages; requests under ``/api/`` do not come here."""

from typing import Any
from urllib.parse import unquote

from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers
from django.utils.deprecation import MiddlewareMixin

from apikeys.credentials import HAND_OVER, cut_to_key_id, mask
from apikeys.guard.middleware import ARRIVED_AT
from config.admin_site import error_views
from config.databases import PAGE_WRITE_SECONDS
from config.server.compression import MIN_BYTES, accepted_coding, compress
from database import deadline
from database.connections.postgresql import connect

# The pages that may be compressed: the overview and lists. None shows a secret, and the CSRF token
# is masked anew in each. A page that is not named here is sent as it is.
COMPRESSED_PAGES = frozenset(
    {
        "admin:index",
        *(
            f"admin:{model}_changelist"
            for model in (
                "apikeys_apikey",
                "apikeys_custompermission",
                "audit_event",
                "auth_group",
                "auth_user",
                "customers_customer",
                "customers_license",
                "customers_telemetryevent",
                "gateway_service",
                "jobs_job",
                "logs_requestlog",
            )
        ),
    }
)
# What the browser says of a request that no other site had it send.
OWN_REQUESTS = frozenset({"same-origin", "none"})


class AddressMiddleware(MiddlewareMixin):
    """Refuses page URLs that hold a credential or a NUL.

    A credential in it would be repeated by a page, a redirect or a log. PostgreSQL takes a NUL,
    in an address or a cookie, in no query. Under ``/api/`` the guard refuses both.
    """

    def process_request(self, request: HttpRequest) -> HttpResponseBase | None:
        address = unquote(request.get_full_path())
        # A hand-over link has its token in the address, and nowhere else.
        rest = address.removeprefix(HAND_OVER)
        if mask(rest) != rest:
            key_id = cut_to_key_id(address)
            # Of a credential in another spelling nothing is cut, and nothing is repeated.
            return error_views.credential_in_address(request, key_id if key_id != address else "")
        if any("\0" in text for text in (address, *request.COOKIES.values())):
            return error_views.bad_request(request)
        return None


class LiveConnectionMiddleware(MiddlewareMixin):
    """Connects before a page needs the database, whatever connections a restart left behind.

    The guard does the same with a query of its own. A page waits for the database for so long in
    all, from its arrival: not once for the session, once for the login and once for itself.
    """

    def __call__(self, request: HttpRequest) -> Any:
        if not request.path_info.startswith(("/admin/", HAND_OVER)):
            return self.get_response(request)
        if connection.vendor == "postgresql":
            with deadline.running():
                connect(connection)
        with deadline.running(PAGE_WRITE_SECONDS, since=request.META.get(ARRIVED_AT)):
            return self.get_response(request)


class CompressionMiddleware(MiddlewareMixin):
    """Compresses ``COMPRESSED_PAGES`` for those who opened them by themselves.

    The length of a compressed page tells whether what is in its address is in the page too. To
    learn more of a page from that (BREACH) another site has a browser open it many times, and is
    refused here by ``Sec-Fetch-Site``, which scripts cannot set.
    """

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        match = request.resolver_match
        if match is None or match.view_name not in COMPRESSED_PAGES or response.streaming:
            return response
        patch_vary_headers(response, ["Accept-Encoding", "Sec-Fetch-Site"])
        coding = accepted_coding(request.headers.get("Accept-Encoding", ""))
        if (
            coding is not None
            and request.method == "GET"
            and response.status_code == 200
            and request.headers.get("Sec-Fetch-Site") in OWN_REQUESTS
            and response["Content-Type"].startswith("text/html")
            and len(response.content) >= MIN_BYTES
        ):
            response.content = compress(response.content, coding)
            response["Content-Encoding"] = coding
            response["Content-Length"] = str(len(response.content))
        return response
