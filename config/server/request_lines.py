"""A line of the process's log for each request, with ``LOG_REQUESTS=on``.

It says less than the request log, and sooner: no query, which may hold anything, and of a path no
credential and no link's secret.
"""

import logging
import re
from collections.abc import Iterable, Mapping
from time import monotonic
from typing import Any

from django.conf import settings

from apikeys.credentials import MASK
from apikeys.guard.middleware import ARRIVED_AT
from database.client_address import client_address
from logs.capture import redaction, traceparent

logger = logging.getLogger("latchkey.requests")

MAX_PATH_LENGTH = 500
REQUEST_ID = b"x-request-id"
# Whoever has what follows these can do something with it.
_SECRET = re.compile("(?i)(/handover/+)[^/]+")


def write(environ: Mapping[str, Any], status: int, headers: Iterable[tuple[bytes, bytes]]) -> None:
    """Tell of a request that is answered now, with these headers."""
    if not settings.LOG_REQUESTS:
        return
    ids = (value.decode("latin-1") for name, value in headers if name.lower() == REQUEST_ID)
    trace = traceparent.of_request(environ)
    fields = {
        "request_id": next(ids, ""),
        "method": redaction.line(environ["REQUEST_METHOD"])[:32],
        "path": _path(environ["PATH_INFO"]),
        "status": status,
        "milliseconds": round((monotonic() - environ[ARRIVED_AT]) * 1000, 1),
        "address": client_address(environ, settings.TRUSTED_PROXIES),
    }
    if trace is not None:
        fields["trace_id"] = trace.trace
    logger.info(
        "request %(request_id)s: %(method)s %(path)s %(status)d in %(milliseconds)s ms"
        " from %(address)s",
        fields,
        extra={"fields": fields},
    )


def _path(path: str) -> str:
    """Return a path, decoded as the views see it (PEP 3333), as it may be told."""
    text = path[:MAX_PATH_LENGTH].encode("latin-1").decode("utf-8", "replace")
    return _SECRET.sub(rf"\1{MASK}", redaction.line(text))
