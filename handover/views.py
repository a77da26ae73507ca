"""The page of a hand-over link: opened by anyone who has it, confirmed once.

Opening changes nothing, so a preview of the link uses nothing up; the secret is made by the POST
alone. It needs no session: who has the link has all that it takes, and the browser says whether its
own page sent the form. Links that are used up, expired, withdrawn or unknown get one same answer.
"""

from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django_ratelimit.core import get_usage

from apikeys import catalogue
from apikeys.lifecycle import IssuedKey
from audit.actors import Actor, Source
from database.client_address import budget_subject, client_address
from database.refusals import Refused
from handover import lifecycle, links
from handover.models import HandOver

METHODS = ("GET", "HEAD", "POST")
# Requests of one address; a token cannot be guessed, but to look for one takes a query.
RATE = "300/5m"
RECIPIENT = "recipient of the link"
# What a browser says of a form that another site sent. The page sends no referrer, so there is no
# origin to compare.
OTHER_SITES = frozenset({"cross-site", "same-site"})
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none';"
        " form-action 'self'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Robots-Tag": "noindex, nofollow, noarchive",
}


@csrf_exempt
@sensitive_post_parameters()
@sensitive_variables()
def hand_over(request: HttpRequest, token: str) -> HttpResponse:
    address = client_address(request.META, settings.TRUSTED_PROXIES)
    usage = get_usage(
        request,
        group="hand-over",
        key=lambda group, request: budget_subject(address),
        rate=RATE,
        increment=True,
    )
    if usage["should_limit"]:
        return _limited(max(1, usage["time_left"]))
    if request.method not in METHODS:
        return _page("method", HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": ", ".join(METHODS)})
    found = links.find(token)
    if found is None:
        return _gone()
    actor = Actor(Source.LINK, RECIPIENT, address=address)
    if request.method == "POST":
        return _confirmed(request, found, actor)
    if request.method == "GET":
        lifecycle.open(found, actor=actor)
    return _offered(found)


@sensitive_variables()
def _confirmed(request: HttpRequest, found: HandOver, actor: Actor) -> HttpResponse:
    if request.headers.get("Sec-Fetch-Site") in OTHER_SITES:
        return _offered(found, "Another site sent this form. Confirm here if you want the key.")
    if not lifecycle.accepts(found, request.POST.get("passphrase", "")):
        again = links.find_again(found)
        return _offered(again, "That is not the passphrase. Try again.") if again else _gone()
    try:
        with transaction.atomic():
            issued = lifecycle.use(found, actor=actor)
            # Within the transaction: a secret that cannot be shown is not made.
            return _gone() if issued is None else _issued(issued, found)
    except Refused as refused:
        return _offered(found, str(refused))


def _offered(found: HandOver, error: str = "") -> HttpResponse:
    status = HTTPStatus.FORBIDDEN if error else HTTPStatus.OK
    return _page("offered", status, {"hand_over": found, "key": found.key, "error": error})


def _gone() -> HttpResponse:
    return _page("gone", HTTPStatus.NOT_FOUND)


def _limited(seconds: int) -> HttpResponse:
    headers = {"Retry-After": str(seconds)}
    return _page("limited", HTTPStatus.TOO_MANY_REQUESTS, headers=headers)


def _issued(issued: IssuedKey, found: HandOver) -> HttpResponse:
    (key,) = catalogue.with_labels([issued.key])
    has_old_secret = found.overlap and key.secrets.count() > 1
    stops_at = timezone.now() + found.overlap if has_old_secret else None
    context = {
        "issued": issued,
        "key": key,
        "hand_over": found,
        "old_secret_stops_at": stops_at,
        "origin": settings.ADMIN_URL,
    }
    return _page("issued", HTTPStatus.OK, context)


@sensitive_variables()
def _page(
    name: str,
    status: HTTPStatus,
    context: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> HttpResponse:
    """Return a page without a request's context: it is the same for everybody."""
    own = {"contact": settings.HAND_OVER_CONTACT} | (context or {})
    page = render_to_string(f"handover/{name}.html", own)
    return HttpResponse(page, status=status, headers=HEADERS | (headers or {}))
