"""One request's record, as the spool keeps it: a JSON array, its fields in the order below.

Made between the answer and its release, so it does as little as it can: what is the same from
request to request is worked out once, and nothing is kept twice.
"""

from functools import lru_cache
from time import time_ns
from typing import Any, NamedTuple

import orjson
from django.conf import settings
from django.http import HttpRequest

from apikeys.addresses import client_address
from apikeys.guard.middleware import body_length
from apikeys.guard.trace import Trace
from logs import redaction

LONGEST_PATH = 2000
LONGEST_QUERY = 4000
LONGEST_AGENT = 400
LONGEST_HEADER = 4096
MOST_HEADERS = 32_768
MOST_HEADER_LINES = 200
ENDPOINTS = "api/<environment:environment>/v1/"

# Change with each request, and hold nothing of the caller's.
OWN_HEADERS = frozenset({"X-Request-ID", "RateLimit", "RateLimit-Policy"})


class Record(NamedTuple):
    """What is known of a request: ids as text, times in microseconds, sizes in bytes."""

    id: str
    at: int
    environment: str | None
    key: str | None
    secret_version: int | None
    customer: str | None
    job: str | None
    permission: str | None
    method: str
    path: str
    route: str
    query: str
    status: int
    code: str
    duration: int
    request_bytes: int
    response_bytes: int
    address: str
    user_agent: str
    request_headers: dict[str, str]
    response_headers: dict[str, str]
    request_body: str
    response_body: str
    cut: int
    # Absent from records that were spooled before there was this field.
    is_key_accepted: bool = False


REQUEST_CUT, RESPONSE_CUT = 1, 2


def line(request: HttpRequest, response: Any, trace: Trace, began_at: int) -> bytes:
    """Return the record of an answered request; ``began_at`` in nanoseconds since 1970."""
    meta = request.META
    match = request.resolver_match
    named: Any = match.kwargs if match is not None else {}
    key = trace.key
    content = b"" if response.streaming else response.content
    status: int = response.status_code
    sent, received, cut = "", "", 0
    # A body in chunks does not say how long it is; config/wsgi.py has put a bound there.
    is_chunked = "HTTP_TRANSFER_ENCODING" in meta
    size = len(trace.body or b"") if is_chunked else body_length(meta)
    if settings.LOG_BODIES == "all" or (settings.LOG_BODIES == "errors" and status >= 400):
        if size:
            received, is_cut = _body(trace.body or b"", meta.get("CONTENT_TYPE", ""))
            cut = REQUEST_CUT if is_cut else 0
        if content:
            sent, is_cut = _body(content, "")
            cut |= RESPONSE_CUT if is_cut else 0
    query = meta.get("QUERY_STRING", "")
    return orjson.dumps(
        (
            trace.request_id,
            began_at // 1000,
            named.get("environment"),
            None if key is None else key.pk,
            trace.secret_version,
            trace.customer or named.get("customer_id"),
            trace.job or named.get("job_id"),
            trace.permission,
            request.method[:32] if request.method else "",
            _path(request.path),
            "" if match is None else _route(match.route),
            redaction.query(query)[:LONGEST_QUERY] if query else "",
            status,
            trace.code or "",
            (time_ns() - began_at) // 1000,
            size,
            len(content),
            client_address(meta, settings.TRUSTED_PROXIES),
            redaction.header("User-Agent", meta.get("HTTP_USER_AGENT", ""))[:LONGEST_AGENT],
            _request_headers(meta),
            _bounded(
                {
                    name: value if name in OWN_HEADERS else redaction.header(name, value)
                    for name, value in response.items()
                }
            ),
            received,
            sent,
            cut,
            trace.is_key_accepted,
        )
    )


@lru_cache(maxsize=512)
def _route(route: str) -> str:
    return "" if "(?P<rest>" in route else route.removeprefix(ENDPOINTS)


def _path(path: str) -> str:
    return _path_once(path) if len(path) <= redaction.LONGEST_KNOWN else _shortened(path)


def _shortened(path: str) -> str:
    return redaction.line(path)[:LONGEST_PATH]


_path_once = lru_cache(maxsize=1024)(_shortened)


def _request_headers(meta: dict[str, Any]) -> dict[str, str]:
    headers = {
        _header_name(name): redaction.header(_header_name(name), value)
        for name, value in meta.items()
        if name.startswith("HTTP_")
    }
    if meta.get("CONTENT_TYPE"):
        headers["Content-Type"] = redaction.header("Content-Type", meta["CONTENT_TYPE"])
    return _bounded(headers)


def _bounded(headers: dict[str, str]) -> dict[str, str]:
    """Return headers cut to what is kept of them, what was cut marked with its true size."""
    if sum(map(len, headers.values())) <= LONGEST_HEADER:
        return headers
    left, kept = MOST_HEADERS, {}
    for name, value in headers.items():
        room = min(LONGEST_HEADER, left)
        text = value if len(value) <= room else f"{value[:room]}… ({len(value):,} characters)"
        left = max(0, left - len(text))
        kept[name] = text
        if len(kept) == MOST_HEADER_LINES:
            break
    return kept


@lru_cache(maxsize=256)
def _header_name(name: str) -> str:
    return redaction.line(name[5:].replace("_", "-").title())[:200]


def _body(content: bytes, media_type: str) -> tuple[str, bool]:
    """Return a body as it may be kept, and whether it was cut."""
    if not content:
        return "", False
    text = redaction.body(content, media_type)
    limit = settings.LOG_BODY_LIMIT
    if len(text) <= limit and (text.isascii() or len(text.encode()) <= limit):
        return text, False
    return text.encode()[:limit].decode(errors="ignore"), True
