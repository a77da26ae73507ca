"""The error pages of the admin: what is wrong, and what to do.

Under ``/api/`` the guard puts these answers into problem details.
"""

import logging
import sys
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, NamedTuple

from django.contrib import admin
from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import DatabaseError, DataError
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import UnreadablePostError
from django.template.loader import render_to_string

from apikeys.credentials import MASK
from apikeys.guard import problems
from apikeys.guard.context import context_of
from backoffice.model_pages import RowNotFound
from config.command_errors import describe_outage, is_down
from database.outages import LogStoreUnavailable, Unavailable
from logs.capture import redaction
from logs.capture.secret_names import is_secret

logger = logging.getLogger(__name__)

# Proves that the form came from our own page: sent again as it came, so that a form of another
# site is refused again.
CSRF_FIELD = "csrfmiddlewaretoken"
# Kept whatever they are called: the second is Django's choice between a password and none.
KEPT_AS_THEY_ARE = frozenset({CSRF_FIELD, "usable_password"})


ADMIN = "/admin/"
# What is answered while the database works, and with a menu to go on from.
WITHIN_ADMIN = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND})


# Shown without asking whose they are: that takes the database. Each page asks for itself.
MENU = (
    ("Overview", "admin:index"),
    ("API keys", "admin:apikeys_apikey_changelist"),
    ("Customers", "admin:customers_customer_changelist"),
    ("Services", "admin:gateway_service_changelist"),
    ("Requests", "admin:logs_requestlog_changelist"),
    ("Jobs", "admin:jobs_job_changelist"),
    ("Review", "admin:review_queue"),
    ("Audit trail", "admin:audit_event_changelist"),
)


class KeptField(NamedTuple):
    """A field of a form that could not be saved; a secret one has to be typed again."""

    name: str
    value: str
    is_secret: bool


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _page(
        request,
        HTTPStatus.BAD_REQUEST,
        "The request is not acceptable as it is. Go back, and try it from the page's own links.",
    )


def credential_in_address(request: HttpRequest, key_id: str) -> HttpResponse:
    return _page(
        request,
        HTTPStatus.BAD_REQUEST,
        "An address must not hold a key, because browsers and proxies keep addresses."
        " Search for the key id, and regenerate the key.",
        key_id=key_id,
    )


def forbidden(
    request: HttpRequest, exception: Exception | None = None, reason: str = ""
) -> HttpResponse:
    """Answer 403; ``reason`` comes from the check against forged forms."""
    text = (
        "The form was sent without proof that it is this site's own, or its page is too old."
        " Load the page again, and allow cookies for this site."
        if reason
        else "Your account may not do this. Ask an administrator for the permission."
    )
    return _page(request, HTTPStatus.FORBIDDEN, text)


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    text = (
        str(exception)
        if isinstance(exception, RowNotFound)
        else "There is no page at this address. Check it, or start from the overview."
    )
    return _page(request, HTTPStatus.NOT_FOUND, text)


def failed(request: HttpRequest) -> HttpResponse:
    """Answer 503 for a dependency that is down, 500 for a defect."""
    _, error, _ = sys.exc_info()
    if isinstance(error, DataError) and "NUL" in str(error):
        # PostgreSQL stores no NUL; form fields have refused it before.
        return bad_request(request)
    outage = describe_outage(error) if error is not None and is_down(error) else None
    if outage is None:
        return _page(
            request,
            HTTPStatus.INTERNAL_SERVER_ERROR,
            "The page could not be made. Tell an operator the number below if it happens again.",
        )
    logger.error("request %s: %s", context_of(request).request_id, outage)
    kept = _kept_fields(request)
    is_log = isinstance(error, LogStoreUnavailable)
    response = _page(
        request,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The database is busy or cannot be reached, so this may not have been saved."
        " What you typed is kept: wait a moment and send it again."
        if kept
        else "The log store cannot be reached, and this page shows requests."
        " Wait a moment and load the page again."
        if is_log
        else "The database or the counters cannot be reached."
        " Wait a moment and load the page again.",
        kept,
    )
    response["Retry-After"] = str(problems.RETRY_AFTER_SECONDS)
    return response


def _kept_fields(request: HttpRequest) -> list[KeptField]:
    """Return what the form of a page held, with nothing of its secrets."""
    if request.method != "POST":
        return []
    try:
        pairs = [(name, value) for name, values in request.POST.lists() for value in values]
    except (UnreadablePostError, SuspiciousOperation, BadRequest, MultiPartParserError):
        return []
    fields = []
    for name, value in pairs:
        hides = name not in KEPT_AS_THEY_ARE and (is_secret(name) or _holds_secret(value))
        fields.append(KeptField(name, "" if hides else value, hides))
    return fields


def _holds_secret(value: str) -> bool:
    """Whether the request log would mask anything in ``value``."""
    return MASK in redaction.body(value.replace(MASK, "").encode())


def _page(
    request: HttpRequest,
    status: HTTPStatus,
    text: str,
    fields: Sequence[KeptField] = (),
    key_id: str = "",
) -> HttpResponse:
    context = {
        "status": status,
        "text": text,
        "request_id": context_of(request).request_id,
        "fields": fields,
        "key_id": key_id,
        "menu": MENU if request.path.startswith(ADMIN) else MENU[:1],
    }
    page = _within_admin(request, context) if status in WITHIN_ADMIN else None
    # No request context: loading ``request.user`` would query the database that may be down.
    page = page or render_to_string("config/error_page.html", context)
    return HttpResponse(page, status=status, headers={"Cache-Control": "no-store"})


def _within_admin(request: HttpRequest, context: dict[str, Any]) -> str | None:
    """Return the page with the menu, or None for who has none."""
    try:
        if not (request.path.startswith(ADMIN) and admin.site.has_permission(request)):
            return None
        own = admin.site.each_context(request) | context | {"title": context["status"].phrase}
        return render_to_string("config/error_in_admin.html", own, request)
    except (AttributeError, DatabaseError, Unavailable):
        # Refused before there was a session, or the database is down.
        return None
