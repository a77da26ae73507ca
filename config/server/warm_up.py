"""What a thread of a web process does before its first request, so that no caller waits for it.

It answers two pages that store nothing, opens its connections and its files, and rehearses
``GET key``: with a key that is stored nowhere, whose limits are asked for and not counted, and
whose record is dropped.
"""

import io
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime
from time import monotonic, time_ns
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.urls import resolve
from rest_framework.request import Request

from apikeys import credentials
from apikeys.environments import Environment
from apikeys.guard import authentication, key_lookup, throttling
from apikeys.guard.context import context_of
from apikeys.guard.key_lookup import Found, StoredSecret
from apikeys.limiter import counters
from apikeys.models import ApiKey
from apikeys.views import CallingKeyView
from config.server.environ import environ_of
from logs.capture import record
from logs.middleware import exchange, spool
from metrics.tallies import TALLIES

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

PAGES = ("/healthz", "/admin/login/")
HOST = settings.ALLOWED_HOSTS[0].lstrip("*.") if settings.ALLOWED_HOSTS else ""


def warm_up(application: Application) -> None:
    # What is down is told by the requests themselves.
    for path in PAGES:
        with suppress(Exception):
            result = application(_environ(path), lambda *_: None)
            result.close()  # type: ignore[attr-defined]
    with suppress(Exception):
        counters().ping()
        key_lookup.find("")
        rehearse()
        spool().open()
        TALLIES.open()


ENVIRONMENT = Environment(settings.API_ENVIRONMENTS[0])
REHEARSED = ApiKey(
    id=credentials.new_key_id(), environment=ENVIRONMENT, created_at=datetime.now(UTC)
)
SECRET = credentials.new_secret()


class _Rehearsal(CallingKeyView):
    """``GET key`` with the key that is stored nowhere."""

    schema = None

    def perform_authentication(self, request: Request) -> None:
        meta, context = request._request.META, context_of(request)
        claim = authentication.read_claim(meta, ENVIRONMENT)
        authentication.authenticate(claim, ENVIRONMENT, meta["REMOTE_ADDR"], context, self._find)

    def _find(self, key_id: str) -> Found:
        found, peppers = key_lookup.find(key_id, self.key_fields), settings.API_KEY_PEPPERS
        digest = peppers.sign(peppers.newest, environment=ENVIRONMENT, key_id=key_id, secret=SECRET)
        return Found(REHEARSED, [StoredSecret(0, digest, peppers.newest, 1, None)], found.now)

    def check_throttles(self, request: Request) -> None:
        context_of(request).decision = throttling.peek(REHEARSED)


def rehearse() -> bytes:
    """Answer ``GET key`` without an effect; return its record."""
    credential = credentials.compose(settings.API_KEY_PREFIX, ENVIRONMENT, REHEARSED.id, SECRET)
    request = WSGIRequest(_environ(f"/api/{ENVIRONMENT}/v1/key", credential))
    request.resolver_match = resolve(request.path_info)
    response = _Rehearsal.as_view()(request, environment=ENVIRONMENT.value).render()
    return record.line(exchange(request, response), context_of(request), time_ns())


def _environ(path: str, credential: str = "") -> dict[str, Any]:
    headers = [(b"host", HOST.encode("latin-1"))]
    if credential:
        headers.append((b"authorization", f"Bearer {credential}".encode()))
    scope = {
        "method": "GET", "path": path, "raw_path": path.encode(), "query_string": b"",
        "http_version": "1.1", "scheme": "http", "server": (settings.HOST, settings.PORT),
        "client": ("127.0.0.1", 0), "headers": headers,
    }  # fmt: skip
    return environ_of(scope, io.BytesIO(), 0, monotonic())
