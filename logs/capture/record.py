"""A request's record in the spool: a JSON array of the fields of ``Record``.

It is built before the response is released, so this code is on the hot path.
"""

from collections.abc import Iterable
from functools import lru_cache
from time import time_ns
from typing import Any, NamedTuple

import orjson
from django.conf import settings

from apikeys.guard.context import Decided, RequestContext
from apikeys.guard.middleware import body_length, headers_of
from logs.capture import redaction, traceparent

MAX_PATH_LENGTH = 2000
MAX_QUERY_LENGTH = 4000
MAX_ROUTE_LENGTH = 200
MAX_AGENT_LENGTH = 400
MAX_HOST_LENGTH = 255
MAX_HEADER_LENGTH = 4096
MAX_HEADERS = 32_768
MAX_HEADER_LINES = 200
# The limit for requests without a known key, of which anyone can send any number.
STRANGER_BYTES = 1024
# Redacting takes longer than recording: as much is scanned, so that masks leave enough to keep.
STRANGER_CHARACTERS = 4096
# Stands for the headers that were left out.
OMITTED = "…"
ENDPOINTS = "api/<environment:environment>/v1/"

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
# Headers whose values are fields of a record.
TOLD_ELSEWHERE = frozenset({"CONTENT_LENGTH"})
# Change with each request, and hold nothing of the caller's.
OWN_HEADERS = frozenset({"X-Request-ID", "RateLimit", "RateLimit-Policy"})
# Say what RateLimit and RateLimit-Policy say.
REPEATING_HEADERS = frozenset({"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"})


# What a record is about: a request to the API, or a decision about one to another service.
REQUEST, DECISION = "request", "decision"

# Refused before the service was looked up, so what the caller named may be no service at all.
# Its names would otherwise stay as rows for ever, and there is no end of them.
UNCONFIRMED = frozenset(
    {
        "unknown_service", "ambiguous_path", "forwarded_incomplete", "uri_too_long",
        "header_too_long",
    }
)  # fmt: skip


class Record(NamedTuple):
    """What is known of a request: ids as text, times in microseconds, sizes in bytes.

    ``line`` writes the fields in this order.
    """

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
    # Absent from records that were spooled before there were these fields.
    is_key_accepted: bool = False
    kind: str = REQUEST
    service: str = ""
    host: str = ""
    caller: str | None = None
    # Microseconds of each of PHASES, separated by commas.
    phases: str | None = None
    trace: str | None = None


# Where a request's time went; what is left of its duration was before the key was looked up.
PHASES = ("lookup", "limiter", "view", "record")
REQUEST_CUT, RESPONSE_CUT = 1, 2


class Exchange(NamedTuple):
    """A request and its answer as they came and went, headers and bodies not redacted yet.

    ``meta`` holds the headers as a WSGI environ does; ``told_elsewhere`` are those, by their names
    there, that the record says without them. ``response_body`` is None if it is streamed.
    """

    meta: dict[str, Any]
    method: str
    path: str
    query: str
    address: str
    environment: str | None
    status: int
    response_headers: Iterable[tuple[str, str]]
    response_body: bytes | None
    route: str = ""
    customer: str | None = None
    job: str | None = None
    kind: str = REQUEST
    service: str = ""
    host: str = ""
    caller: str | None = None
    told_elsewhere: frozenset[str] = TOLD_ELSEWHERE


def line(exchange: Exchange, context: RequestContext, began_at: int) -> bytes:
    """Return the record of an answered request; ``began_at`` in nanoseconds since 1970."""
    answered_at = time_ns()
    lookup_time, limiter_time, view_time = _times(context, answered_at)
    if context.decided is not None:
        exchange = _of_decision(exchange, context.decided, context.key)
        context = context.decided.context
    meta = exchange.meta
    key = context.key
    is_stranger = key is None
    request_body, response_body, cut = _bodies(exchange, context)
    path, query, user_agent = _target(exchange, is_stranger=is_stranger)
    headers = _few if is_stranger else _bounded
    request_headers = headers(_request_headers(exchange))
    response_headers = headers(
        [header for header in exchange.response_headers if header[0] not in REPEATING_HEADERS]
    )
    recorded_at = time_ns()
    phases = (
        f"{lookup_time // 1000},{limiter_time // 1000},{view_time // 1000}"
        f",{(recorded_at - answered_at) // 1000}"
    )
    # A plain tuple: orjson does not serialize named ones, and making one costs as much again.
    record = (
        context.request_id,
        began_at // 1000,
        exchange.environment,
        None if key is None else key.id,
        context.secret_version,
        context.customer or exchange.customer,
        context.job or exchange.job,
        context.permission,
        method if (method := exchange.method) in METHODS else redaction.line(method)[:32],
        path,
        exchange.route and _route(exchange.route),
        query,
        exchange.status,
        context.code or "",
        (recorded_at - began_at) // 1000,
        body_length(meta),
        len(exchange.response_body or b""),
        exchange.address,
        user_agent,
        request_headers,
        response_headers,
        request_body,
        response_body,
        cut,
        context.is_key_accepted,
        exchange.kind,
        exchange.service,
        _host(exchange.host),
        exchange.caller,
        phases,
        None if (trace := traceparent.of_request(meta)) is None else trace.trace,
    )
    return orjson.dumps(record)


def _times(context: RequestContext, answered_at: int) -> tuple[int, int, int]:
    """Return the nanoseconds of lookup, limiter and view; of a decision with both keys together."""
    lookup_time, limiter_time = context.lookup_time, context.limiter_time
    view_time = answered_at - context.counted_at if context.counted_at else 0
    if context.decided is not None:
        presented = context.decided.context
        lookup_time += presented.lookup_time
        limiter_time += presented.limiter_time
        view_time -= presented.lookup_time + presented.limiter_time
    return lookup_time, limiter_time, view_time


def _of_decision(exchange: Exchange, decided: Decided, caller: Any) -> Exchange:
    """Return what is recorded of a request to decide: what was decided about, and who asked."""
    named = {name: value for name in ("method", "route") if (value := getattr(decided, name))}
    if decided.path:
        named |= {"path": decided.path, "query": decided.query}
    return exchange._replace(
        kind=DECISION,
        status=decided.status,
        service=decided.service,
        # Blank if not told: the address of the server that asks is not the client's.
        address=decided.address,
        caller=caller.pk,
        **named,
    )


def _bodies(exchange: Exchange, context: RequestContext) -> tuple[str, str, int]:
    """Return both bodies as they may be kept, and which of them were cut."""
    is_wanted = exchange.kind == REQUEST and (
        settings.LOG_BODIES == "all" or (settings.LOG_BODIES == "errors" and exchange.status >= 400)
    )
    if not is_wanted:
        return "", "", 0
    received = sent = b""
    # A body with a content coding could hold a secret that the redaction cannot see.
    is_plain = "HTTP_CONTENT_ENCODING" not in exchange.meta
    if context.body and context.keeps_body and context.key is not None and is_plain:
        received = context.body
    # Public responses, such as the schema, say nothing about an unauthenticated caller.
    if context.code or context.key is not None:
        sent = exchange.response_body or b""
    request_body, is_request_cut = _body(received, exchange.meta.get("CONTENT_TYPE", ""))
    response_body, is_response_cut = _body(sent, "")
    return (
        request_body,
        response_body,
        REQUEST_CUT * is_request_cut | RESPONSE_CUT * is_response_cut,
    )


def _target(exchange: Exchange, *, is_stranger: bool) -> tuple[str, str, str]:
    max_characters = STRANGER_CHARACTERS if is_stranger else None
    path = _path(exchange.path[:max_characters])
    query = redaction.query(exchange.query[:max_characters])[:MAX_QUERY_LENGTH]
    # Of a server that asks for a decision, and not of the client.
    is_clients = exchange.caller is None
    agent = exchange.meta.get("HTTP_USER_AGENT", "")[:max_characters] if is_clients else ""
    if is_stranger:
        path, query = _cut(path, STRANGER_BYTES), _cut(query, STRANGER_BYTES)
    return path, query, redaction.header("User-Agent", agent)[:MAX_AGENT_LENGTH]


@lru_cache(maxsize=512)
def _route(route: str) -> str:
    return "" if "(?P<rest>" in route else route.removeprefix(ENDPOINTS)[:MAX_ROUTE_LENGTH]


def _host(host: str) -> str:
    return host and redaction.header("Host", host[: redaction.MAX_KNOWN])[:MAX_HOST_LENGTH]


def _path(path: str) -> str:
    return _path_once(path) if len(path) <= redaction.MAX_KNOWN else _shortened(path)


def _shortened(path: str) -> str:
    return redaction.line(path)[:MAX_PATH_LENGTH]


_path_once = lru_cache(maxsize=1024)(_shortened)


def _request_headers(exchange: Exchange) -> list[tuple[str, str]]:
    left_out = exchange.told_elsewhere
    return [
        (_header_name(name), value)
        for name, value in headers_of(exchange.meta).items()
        if name not in left_out
    ]


def _bounded(given: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return headers as they may be kept, what is cut marked with its true size."""
    headers = {
        name: value if name in OWN_HEADERS else redaction.header(name, value)
        for name, value in given
    }
    if sum(map(len, headers)) + sum(map(len, headers.values())) <= MAX_HEADER_LENGTH:
        return headers
    remaining, kept = MAX_HEADERS, {}
    for name, value in headers.items():
        remaining = max(0, remaining - len(name))
        max_length = min(MAX_HEADER_LENGTH, remaining)
        text = value if len(value) <= max_length else value[:max_length] + _length(value)
        remaining = max(0, remaining - len(text))
        kept[name] = text
        if len(kept) == MAX_HEADER_LINES:
            break
    return kept


def _few(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return the headers for which there is room, of long ones their length."""
    remaining, omitted, kept = STRANGER_BYTES, 0, {}
    for name, value in headers:
        # Redact only what is kept: a caller without a key may send long values.
        text = _header(name, value) if len(value) <= remaining else _length(value)
        size = len(name.encode()) + len(text.encode())
        if size <= remaining:
            kept[name] = text
            remaining -= size
        else:
            omitted += 1
    return kept | {OMITTED: f"{omitted:,} more"} if omitted else kept


def _header(name: str, value: str) -> str:
    return value if name in OWN_HEADERS else redaction.header(name, value)


def _length(value: str) -> str:
    return f"… ({len(value):,} characters)"


@lru_cache(maxsize=256)
def _header_name(name: str) -> str:
    return redaction.line(name.removeprefix("HTTP_").replace("_", "-").title())[:200]


def _body(content: bytes, media_type: str) -> tuple[str, bool]:
    """Return a body as it may be kept, and whether it was cut."""
    if not content:
        return "", False
    limit = settings.LOG_BODY_LIMIT
    text = redaction.body(content, media_type, limit)
    kept = _cut(text, limit)
    return kept, len(kept) < len(text)


def _cut(text: str, max_bytes: int) -> str:
    """Return as much of ``text`` as fits into ``max_bytes`` of UTF-8."""
    if len(text) <= max_bytes and (text.isascii() or len(text.encode()) <= max_bytes):
        return text
    return text.encode()[:max_bytes].decode(errors="ignore")
