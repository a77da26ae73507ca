"""The outermost middleware: puts the requests under ``/api/`` on record.

The record is on disk before the answer is released, or in the log store (``LOG_DURABILITY``). When
it cannot be, nothing is answered but a 503: before the request has any effect if the spool is full
or the worker is away, after it if a disk fails or the store does.
"""

import logging
from collections.abc import Callable
from functools import cache
from threading import Thread
from time import time_ns
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.module_loading import import_string

from apikeys.guard import problems
from apikeys.guard.context import RequestContext, context_of
from apikeys.guard.middleware import API, ARRIVED_AT
from apikeys.guard.problems import Problem
from database.client_address import client_address
from logs import metrics
from logs.capture import record, traceparent
from logs.capture.durability import SOCKET, STORE, Acknowledgements
from logs.capture.record import Exchange, Record
from logs.capture.spool import Spool, SpoolUnavailable

logger = logging.getLogger(__name__)


@cache
def spool() -> Spool:
    acknowledgements = None
    if settings.LOG_DURABILITY == STORE:
        acknowledgements = Acknowledgements(settings.LOG_SPOOL / SOCKET)
        Thread(target=acknowledgements.listen, name="stored", daemon=True).start()
    opened = Spool(
        settings.LOG_SPOOL,
        settings.LOG_SPOOL_BYTES,
        processes=settings.WEB_CONCURRENCY,
        acknowledgements=acknowledgements,
    )
    Thread(target=opened.watch, name="spool", daemon=True).start()
    return opened


class RequestLogMiddleware:
    """Records each request to the API, whatever its outcome."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        spool()
        if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
            spans()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(API):
            return self.get_response(request)
        began_at = time_ns()
        if not has_room():
            return _unrecorded(request, problems.unavailable())
        response = self.get_response(request)
        if not put_on_record(exchange(request, response), context_of(request), began_at):
            response.close()
            return _unrecorded(request, not_recorded())
        return response


def put_on_record(exchange: Exchange, context: RequestContext, began_at: int) -> bool:
    """Write the record of a request; False if that fails, and it must not be answered then."""
    line = record.line(exchange, context, began_at)
    try:
        spool().append(line, exchange.meta.get(ARRIVED_AT))
    except SpoolUnavailable as error:
        logger.error("request %s cannot be recorded: %s", context.request_id, error)
        metrics.NOT_RECORDED.add()
        return False
    metrics.count(exchange, context, began_at)
    if settings.OTEL_EXPORTER_OTLP_ENDPOINT:
        _send_span(line, exchange)
    return True


def _send_span(line: bytes, exchange: Exchange) -> None:
    try:
        spans().add(Record(*orjson.loads(line)), exchange.meta.get(traceparent.HEADER))
    except Exception:
        # The request is answered and on record, whatever becomes of its span.
        logger.exception("a span was not sent")


@cache
def spans() -> Any:
    """Return what sends spans; loaded by its name, since few installations want it."""
    return import_string("logs.otel.Spans")()


def has_room() -> bool:
    """Whether a request can be put on record; else it must have no effect, and is counted."""
    if spool().has_room:
        return True
    metrics.NOT_RECORDED.add()
    return False


def exchange(request: HttpRequest, response: Any) -> Exchange:
    meta, match = request.META, request.resolver_match
    named: Any = match.kwargs if match is not None else {}
    return Exchange(
        meta=meta,
        method=request.method or "",
        path=request.path,
        query=meta.get("QUERY_STRING", ""),
        address=client_address(meta, settings.TRUSTED_PROXIES),
        environment=named.get("environment"),
        status=response.status_code,
        response_headers=response.items(),
        response_body=None if response.streaming else response.content,
        route="" if match is None else match.route,
        customer=named.get("customer_id"),
        job=named.get("job_id"),
    )


def not_recorded() -> Problem:
    """Return the 503 for a request that was processed but not recorded."""
    return Problem(
        "unavailable",
        "The request may have been processed, but it could not be put on record."
        " Check whether it took effect, or send it again with the same Idempotency-Key.",
        headers={"Retry-After": str(problems.RETRY_AFTER_SECONDS)},
    )


def _unrecorded(request: HttpRequest, problem: Problem) -> HttpResponseBase:
    response = problems.respond(request, problem)
    response["X-Request-ID"] = context_of(request).request_id
    return response
