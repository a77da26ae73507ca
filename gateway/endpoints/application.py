"""Answers usual requests to these endpoints before Django's middleware.

The guard's own functions are called in the guard's order. Whatever is not usual, such as a query
or a body of another type, is left to the view before anything has had an effect: it refuses
or reads that by what every endpoint goes by.
"""

from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any, NamedTuple, cast

from django.conf import settings
from django.http.request import split_domain_port, validate_host
from uuid_utils import uuid7

from apikeys.guard import authentication, throttling
from apikeys.guard.answers import written
from apikeys.guard.context import RequestContext
from apikeys.guard.middleware import API, body_length
from apikeys.guard.parsers import StrictJSONParser, UnreadBody
from apikeys.guard.permissions import require
from apikeys.guard.problems import Problem
from apikeys.guard.serializers import NoBody, validated
from apikeys.guard.views import JSONNegotiation
from database.client_address import client_address
from gateway import edge
from gateway.edge import NOT_STORED, Answer, Environ, StartResponse
from gateway.endpoints.views import DecisionView
from gateway.urls import urlpatterns
from logs.capture.record import Exchange


class Endpoint(NamedTuple):
    """An endpoint in an environment."""

    environment: str
    route: str
    view: type[DecisionView]

    @property
    def parser(self) -> type[StrictJSONParser]:
        return cast(type[StrictJSONParser], self.view.parser_classes[0])


def _endpoints() -> Iterator[tuple[str, Endpoint]]:
    for environment in settings.API_ENVIRONMENTS:
        for pattern in urlpatterns:
            route, callback = str(pattern.pattern), cast(Any, pattern.callback)
            yield f"{API}{environment}/v1/{route}", Endpoint(environment, route, callback.cls)


_ENDPOINTS = dict(_endpoints())


def application(environ: Environ, start_response: StartResponse) -> list[bytes] | None:
    """Answer a request (PEP 3333), or return None for Django to answer it."""
    endpoint = _ENDPOINTS.get(environ["PATH_INFO"])
    if endpoint is None or not _is_usual(environ, endpoint):
        return None
    context = RequestContext(str(uuid7()))
    address = client_address(environ, settings.TRUSTED_PROXIES)
    answer = edge.answer(
        environ,
        context,
        decide=partial(_decide, environ, endpoint, address, context),
        refuse=partial(_refuse, endpoint, context),
        exchange=partial(_exchange, environ, endpoint, address),
    )
    return edge.send(environ, start_response, answer)


def _is_usual(environ: Environ, endpoint: Endpoint) -> bool:
    """Whether nothing but the body's content can be refused once the guard has been passed."""
    return (
        environ["REQUEST_METHOD"] == "POST"
        and not environ.get("QUERY_STRING")
        and environ.get("HTTP_ACCEPT", "*/*") in JSONNegotiation.USUAL
        and endpoint.parser.takes(environ.get("CONTENT_TYPE", ""))
        and "HTTP_CONTENT_ENCODING" not in environ
        and not isinstance(environ["wsgi.input"], UnreadBody)
        and 0 < body_length(environ) <= settings.MAX_BODY_BYTES
        and _is_served(environ.get("HTTP_HOST", ""))
    )


@lru_cache(maxsize=256)
def _is_served(host: str) -> bool:
    return validate_host(split_domain_port(host)[0], settings.ALLOWED_HOSTS)


def _decide(environ: Environ, endpoint: Endpoint, address: str, context: RequestContext) -> Answer:
    environment, _, view = endpoint
    operation = view.operations["POST"]
    claim = authentication.read_claim(environ, environment, with_basic=view.takes_basic)
    key = authentication.authenticate(claim, environment, address, context)
    decision = throttling.count(key, context)
    if not decision.is_admitted:
        raise throttling.refusal(decision)
    require(operation.permission, environment, context)
    data = endpoint.parser.decode(environ["wsgi.input"].read(body_length(environ)))
    values = validated(operation.body or NoBody, data)
    headers = edge.headers(context) | view.allow | NOT_STORED | {"Content-Type": "application/json"}
    return Answer(200, headers, written(view.decide(values, environment, context)))


def _refuse(endpoint: Endpoint, context: RequestContext, problem: Problem) -> Answer:
    answer = edge.refusal(context, problem)
    return answer._replace(headers=answer.headers | endpoint.view.allow | NOT_STORED)


def _exchange(environ: Environ, endpoint: Endpoint, address: str, answer: Answer) -> Exchange:
    return Exchange(
        meta=environ,
        method="POST",
        path=environ["PATH_INFO"],
        query="",
        address=address,
        environment=endpoint.environment,
        status=answer.status,
        response_headers=answer.headers.items(),
        response_body=answer.body,
        route=endpoint.route,
    )
