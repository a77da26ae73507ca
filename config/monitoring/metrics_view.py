"""``GET /metrics``: for whoever has the token, or asks from a network that may."""

import hmac
from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import require_safe

from apikeys.guard.middleware import headers_of
from database import deadline
from database.client_address import UNKNOWN, client_address, is_loopback, is_trusted
from metrics import exposition

# What proxies add to a request. One that says none of this cannot be told from a direct caller.
FORWARDING = frozenset(
    {
        "HTTP_X_FORWARDED_FOR", "HTTP_X_FORWARDED_HOST", "HTTP_X_FORWARDED_PROTO",
        "HTTP_X_REAL_IP", "HTTP_FORWARDED", "HTTP_VIA",
    }
)  # fmt: skip
NOT_STORED = {"Cache-Control": "no-store"}
REFUSED = (
    "Metrics are for METRICS_TOKEN, and for METRICS_NETWORKS."
    " Send the token as Authorization: Bearer, or ask from such a network.\n"
)


@require_safe
def metrics(request: HttpRequest) -> HttpResponse:
    """Answer all metrics of this host; to strangers 401 where there is a token, else 403."""
    if has_token(request.META) or is_near(request.META):
        with deadline.running():
            return HttpResponse(
                exposition.text(), content_type=exposition.MEDIA_TYPE, headers=NOT_STORED
            )
    challenge = {"WWW-Authenticate": 'Bearer realm="metrics"'} if settings.METRICS_TOKEN else {}
    return HttpResponse(
        REFUSED,
        status=401 if challenge else 403,
        content_type="text/plain; charset=utf-8",
        headers=NOT_STORED | challenge,
    )


def has_token(meta: Mapping[str, Any]) -> bool:
    scheme, _, token = meta.get("HTTP_AUTHORIZATION", "").strip().partition(" ")
    if not settings.METRICS_TOKEN or scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(token.strip().encode(), settings.METRICS_TOKEN.encode())


def is_near(meta: Mapping[str, Any]) -> bool:
    """Whether a request comes from a network that may read metrics.

    Behind a proxy on this machine every connection comes from loopback. So a request that was
    forwarded counts as its client's, and only where a trusted proxy says who that is; that it is
    loopback is believed of no client who was not seen there.
    """
    trusted = settings.TRUSTED_PROXIES
    address = client_address(meta, trusted)
    sent = headers_of(meta)
    if not FORWARDING.isdisjoint(sent):
        is_told = "HTTP_X_FORWARDED_FOR" in sent
        if not is_told or not is_trusted(meta.get("REMOTE_ADDR", ""), trusted):
            return False
        if is_loopback(address):
            return False
    return address != UNKNOWN and is_trusted(address, settings.METRICS_NETWORKS)
