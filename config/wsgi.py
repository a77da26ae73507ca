"""The WSGI application: decisions, and Django with checked headers for all else."""

import contextlib
import gc
import importlib
import os
from collections.abc import Callable, Iterable
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.conf import settings
from django.core.cache import close_caches
from django.core.handlers.base import reset_urlconf
from django.core.signals import request_finished, request_started
from django.core.wsgi import get_wsgi_application
from django.db import close_old_connections, connection, reset_queries
from psycopg_pool import PoolTimeout

from apikeys.guard.parsers import is_utf_8
from database.client_address import is_trusted

_django = get_wsgi_application()

from gateway import forward_auth  # noqa: E402 - needs what was just set up
from gateway.endpoints import application as endpoints  # noqa: E402

# Every view with all it loads, so that no first caller waits for that.
importlib.import_module(settings.ROOT_URLCONF)

# Connections are made before the first request needs one; a server that is down is found out
# by the requests themselves.
_pool = getattr(connection, "pool", None)
if _pool is not None:
    with contextlib.suppress(PoolTimeout):
        _pool.open(wait=True, timeout=3.0)

# What is loaded by now stays loaded: the collector need not walk it again and again. The default
# of 700 objects between two walks is less than some requests make; many more than this are no
# longer in the processor's cache when they are walked.
gc.freeze()
gc.set_threshold(10_000, 20, 20)


def _close_connection(**_: Any) -> None:
    """Do what ``close_old_connections`` does, for the one database there is."""
    connection.close_if_unusable_or_obsolete()


# Django asks all databases and caches before and after each request. There is one database, the
# caches have nothing to close, no request has URLs of its own, and queries are kept while debugging
# alone. A signal that nobody receives costs nothing.
for _signal in (request_started, request_finished):
    _signal.disconnect(close_old_connections)
request_finished.connect(_close_connection)
if connection.vendor == "postgresql":
    # A decision keeps the connection that it had from the pool.
    request_started.connect(_close_connection)
request_finished.disconnect(close_caches)
request_finished.disconnect(reset_urlconf)
if not settings.DEBUG:
    request_started.disconnect(reset_queries)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    if environ["PATH_INFO"].startswith(forward_auth.AUTH):
        return forward_auth.application(environ, start_response)
    answered = endpoints.application(environ, start_response)
    if answered is not None:
        return answered
    if not is_trusted(environ.get("REMOTE_ADDR", ""), settings.TRUSTED_PROXIES):
        environ.pop("HTTP_X_FORWARDED_PROTO", None)
    if ";" in environ.get("CONTENT_TYPE", "") and not is_utf_8(environ["CONTENT_TYPE"]):
        # Django would read the address by that charset too, and fails before there is a request
        # to answer if it decodes no text.
        environ["CONTENT_TYPE"] = "application/octet-stream"
    return _django(environ, start_response)
