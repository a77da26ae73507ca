"""What every decision has in common: it is answered before Django's middleware, and on record.

It is made within the deadline of an API request. Its record is on disk before the answer leaves.
What fails on our side is a 503, and nothing else of the 5xx.
"""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from time import time_ns
from types import MappingProxyType
from typing import Any, NamedTuple

import orjson
from django.db import connection

from apikeys.guard import problems, throttling
from apikeys.guard.context import RequestContext
from apikeys.guard.middleware import ARRIVED_AT
from apikeys.guard.problems import MEDIA_TYPE, Problem, as_problem
from database import deadline
from logs.capture.record import Exchange
from logs.middleware import has_room, put_on_record

Environ = dict[str, Any]
STATUS_LINES = {status.value: f"{status.value} {status.phrase}" for status in HTTPStatus}
NOT_STORED = {"Cache-Control": "no-store"}
StartResponse = Callable[[str, list[tuple[str, str]]], Any]


class Answer(NamedTuple):
    """A whole answer; its record has fields for what the ``unrecorded`` headers say."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    unrecorded: Mapping[str, str] = MappingProxyType({})


def answer(
    environ: Environ,
    context: RequestContext,
    *,
    decide: Callable[[], Answer],
    refuse: Callable[[Problem], Answer],
    exchange: Callable[[Answer], Exchange],
) -> Answer:
    """Return what ``decide`` returns, or ``refuse`` for what it raises; ``exchange`` is recorded.

    ``decide`` has no effect before its limits are counted, and needs to have none afterwards.
    """
    began_at = time_ns()
    if not has_room():
        return refuse(problems.unavailable())
    try:
        with deadline.running(since=environ.get(ARRIVED_AT)):
            answered = decide()
    except Exception as error:  # noqa: BLE001 - logged, and answered
        answered = refuse(_problem(error, context))
    if not put_on_record(exchange(answered), context, began_at):
        return refuse(problems.unavailable())
    return answered


def headers(context: RequestContext) -> dict[str, str]:
    """Return the headers that tell of the request, and of what was counted."""
    named = {"X-Request-ID": context.request_id}
    if context.decision is not None:
        named |= throttling.headers(context.decision)
    return named


def refusal(context: RequestContext, problem: Problem) -> Answer:
    context.code = problem.code
    named = headers(context) | problem.headers | {"Content-Type": MEDIA_TYPE}
    body = orjson.dumps(problem.body(context.request_id))
    return Answer(problem.status_code, named, body)


def send(environ: Environ, start_response: StartResponse, answered: Answer) -> list[bytes]:
    """Send an answer (PEP 3333), for HEAD without its body."""
    status, named, body, unrecorded = answered
    lines = [*named.items(), *unrecorded.items(), ("Content-Length", str(len(body)))]
    start_response(STATUS_LINES[status], lines)
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


def _problem(error: Exception, context: RequestContext) -> Problem:
    problem = as_problem(error)
    if problem.status_code < HTTPStatus.INTERNAL_SERVER_ERROR:
        return problem
    problems.log_failure(context.request_id, error)
    # As Django does after a request: the next one must not find what broke.
    connection.close_if_unusable_or_obsolete()
    return problems.unavailable()
