"""The outermost middleware: puts the requests under ``/api/`` on record.

The record is on disk before the answer is released. When it cannot be, nothing is answered
but a 503: before the request has any effect if the spool is full, after it if a disk fails.
"""

import logging
from collections.abc import Callable
from functools import cache
from threading import Thread
from time import time_ns

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from apikeys.guard import problems
from apikeys.guard.context import context_of
from apikeys.guard.middleware import API
from apikeys.guard.problems import Problem
from logs.capture import record
from logs.capture.spool import Spool, SpoolUnavailable

logger = logging.getLogger(__name__)


@cache
def spool() -> Spool:
    opened = Spool(settings.LOG_SPOOL, settings.LOG_SPOOL_BYTES, processes=settings.WEB_CONCURRENCY)
    Thread(target=opened.watch, name="spool", daemon=True).start()
    return opened


class RequestLogMiddleware:
    """Records each request to the API, whatever its outcome."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.spool = spool()

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if not request.path_info.startswith(API):
            return self.get_response(request)
        began_at = time_ns()
        if not self.spool.has_room:
            return _unrecorded(request, problems.unavailable())
        response = self.get_response(request)
        context = context_of(request)
        try:
            self.spool.append(record.line(request, response, context, began_at))
        except SpoolUnavailable as error:
            logger.error("request %s cannot be recorded: %s", context.request_id, error)
            response.close()
            return _unrecorded(request, not_recorded())
        return response


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
