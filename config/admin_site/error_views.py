"""The error pages of the admin: what is wrong, and what to do.

Under ``/api/`` the guard puts these answers into problem details.
"""

import logging
import sys
from collections.abc import Sequence
from http import HTTPStatus
from typing import NamedTuple

from django.core.exceptions import BadRequest, SuspiciousOperation
from django.db import DataError
from django.http import HttpRequest, HttpResponse
from django.http.multipartparser import MultiPartParserError
from django.http.request import UnreadablePostError
from django.template.loader import render_to_string

from apikeys.credentials import MASK
from apikeys.guard import problems
from apikeys.guard.context import context_of
from config.command_errors import describe_outage, is_down
from logs.capture import redaction
from logs.capture.secret_names import is_secret

logger = logging.getLogger(__name__)

# Proves that the form came from our own page: sent again as it came, so that a form of another
# site is refused again.
CSRF_FIELD = "csrfmiddlewaretoken"
# Kept whatever they are called: the second is Django's choice between a password and none.
KEPT_AS_THEY_ARE = frozenset({CSRF_FIELD, "usable_password"})


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
    return _page(
        request,
        HTTPStatus.NOT_FOUND,
        "There is no page at this address. Check it, or start from the overview.",
    )


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
    response = _page(
        request,
        HTTPStatus.SERVICE_UNAVAILABLE,
        "The database is busy or cannot be reached, so this may not have been saved."
        " What you typed is kept: wait a moment and send it again."
        if kept
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
    request: HttpRequest, status: HTTPStatus, text: str, fields: Sequence[KeptField] = ()
) -> HttpResponse:
    # No request context: loading ``request.user`` would query the database that may be down.
    context = {
        "status": status,
        "text": text,
        "request_id": context_of(request).request_id,
        "fields": fields,
    }
    page = render_to_string("config/error_page.html", context)
    return HttpResponse(page, status=status, headers={"Cache-Control": "no-store"})
