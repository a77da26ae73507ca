"""Forward authentication: a reverse proxy asks about each request before it passes it on.

The address chooses the dialect: ``/auth/<environment>/<service>`` takes the request from
``X-Forwarded-*`` and answers as the guard does; ``…/nginx`` answers only 200, 401 and 403, and says
the rest in headers; ``…/envoy/<path>`` takes the request itself. Only trusted proxies are answered,
and nothing else that a client can send is believed.
"""

import json
import re
from functools import partial
from typing import NamedTuple

import orjson
from django.conf import settings
from uuid_utils import uuid7

from apikeys.guard import problems
from apikeys.guard.context import RequestContext
from apikeys.guard.middleware import RAW_PATH, REPEATED, headers_of
from apikeys.guard.problems import Problem
from database.client_address import UNKNOWN, client_address, is_trusted
from gateway import decisions, edge
from gateway.edge import NOT_STORED, Answer, Environ, StartResponse
from gateway.patterns import MAX_URI_LENGTH
from gateway.rules import METHOD, SERVICE_NAME
from logs.capture import traceparent
from logs.capture.record import DECISION, TOLD_ELSEWHERE, Exchange

AUTH = "/auth/"
FORWARDED, NGINX, ENVOY = "", "nginx", "envoy"
MAX_HEADER_LENGTH = 8_192
_NAME = "([!-.0-~]{1,40})"
_ADDRESS = re.compile(f"{AUTH}{_NAME}/{_NAME}(?:/({NGINX})|/({ENVOY})(/.*)?)?")
_FORWARDED_METHOD = "HTTP_X_FORWARDED_METHOD"
_FORWARDED_URI = "HTTP_X_FORWARDED_URI"
_FORWARDED_HOST = "HTTP_X_FORWARDED_HOST"
_FORWARDED_FOR = "HTTP_X_FORWARDED_FOR"
_TOLD_IN_HEADERS = TOLD_ELSEWHERE | {_FORWARDED_METHOD, _FORWARDED_URI, _FORWARDED_HOST}
# Sent with a refusal too: some proxies pass on what a client sent, unless the answer has the field.
_NO_IDENTITY = {
    "X-Latchkey-Key-Id": "",
    "X-Latchkey-Environment": "",
    "X-Latchkey-Permission": "",
    "X-Latchkey-Customers": "",
} | NOT_STORED


class Question(NamedTuple):
    """What a proxy asks: about which request, in raw form, to which service of an environment.

    ``address`` is the client's. Of a peer that is no trusted proxy nothing is read: ``service`` is
    blank then, and where the address is none of the dialects'.
    """

    is_trusted: bool
    dialect: str
    environment: str
    service: str
    method: str
    uri: str
    host: str
    address: str


def application(environ: Environ, start_response: StartResponse) -> list[bytes]:
    """Answer a proxy (PEP 3333)."""
    context = RequestContext(str(uuid7()))
    question = _read(environ)
    answer = edge.answer(
        environ,
        context,
        decide=partial(_decide, environ, question, context),
        refuse=partial(_refuse, context),
        exchange=partial(_exchange, environ, question, context),
    )
    if question.dialect == NGINX:
        answer = _for_nginx(answer)
    return edge.send(environ, start_response, answer)


def _read(environ: Environ) -> Question:
    trusted = settings.TRUSTED_PROXIES
    is_proxy = is_trusted(environ.get("REMOTE_ADDR", ""), trusted)
    address = client_address(environ, trusted)
    raw_path = environ.get(RAW_PATH, "")
    method, host = environ["REQUEST_METHOD"], environ.get("HTTP_HOST", "")
    match = _ADDRESS.fullmatch(raw_path)
    if match is None or not is_proxy:
        # nginx would keep to itself what is wrong.
        dialect = NGINX if match and match[3] else FORWARDED
        uri = _with_query(raw_path, environ)
        return Question(is_proxy, dialect, "", "", method, uri, host, address)
    environment, service, nginx, envoy, path = match.groups()
    if envoy:
        if _FORWARDED_FOR not in environ:
            address = UNKNOWN
        uri = _with_query(path or "", environ)
        return Question(True, ENVOY, environment, service, method, uri, host, address)
    return Question(
        True,
        nginx or FORWARDED,
        environment,
        service,
        environ.get(_FORWARDED_METHOD, ""),
        environ.get(_FORWARDED_URI, ""),
        environ.get(_FORWARDED_HOST, ""),
        address,
    )


def _with_query(path: str, environ: Environ) -> str:
    query = environ.get("QUERY_STRING")
    return f"{path}?{query}" if query else path


def _decide(environ: Environ, question: Question, context: RequestContext) -> Answer:
    if not question.is_trusted:
        raise Problem(
            "proxy_not_trusted",
            "Decisions are for trusted proxies only. Add the proxy's address to TRUSTED_PROXIES.",
        )
    if not question.service:
        raise problems.not_found()
    decisions.require_environment(question.environment)
    _require_lengths(environ, question)
    _require_request(environ, question)
    decisions.decide(
        environ,
        context,
        environment=question.environment,
        service=question.service,
        method=question.method,
        path=question.uri.partition("?")[0],
        address=question.address,
    )
    told = _identity(context)
    trace = traceparent.of_request(environ)
    if trace is not None:
        # For a proxy that passes on only what it is answered.
        told = told | {"traceparent": trace.text}
    return Answer(200, edge.headers(context), unrecorded=told)


def _require_lengths(environ: Environ, question: Question) -> None:
    if len(question.uri) > MAX_URI_LENGTH:
        raise Problem(
            "uri_too_long",
            f"The path and the query are too long. Send at most {MAX_URI_LENGTH:,} bytes.",
        )
    if max(map(len, headers_of(environ).values()), default=0) > MAX_HEADER_LENGTH:
        raise Problem(
            "header_too_long",
            f"A header is too long. Send at most {MAX_HEADER_LENGTH:,} bytes in each.",
        )


def _require_request(environ: Environ, question: Question) -> None:
    """Raise the 400 unless the proxy says, once, what was asked of the service.

    Some services take a method in any case of letters, where a rule for ``DELETE`` would not.
    """
    if question.dialect != ENVOY:
        fields = (_FORWARDED_METHOD, _FORWARDED_URI, _FORWARDED_HOST)
        is_missing = not all(map(environ.get, (*fields, _FORWARDED_FOR)))
        # A comma is legal in a URI, and joins repeated fields.
        is_repeated = not environ.get(REPEATED, frozenset(fields)).isdisjoint(fields)
        if is_missing or is_repeated or "," in question.host:
            raise Problem(
                "forwarded_incomplete",
                "The proxy did not say what was asked of the service. Have it send"
                " X-Forwarded-Method, -Uri and -Host, each once, and X-Forwarded-For.",
            )
    if not METHOD.fullmatch(question.method):
        raise Problem(
            "forwarded_incomplete",
            "The method is none that rules can name. Send one in capitals, such as GET.",
        )


def _identity(context: RequestContext) -> dict[str, str]:
    key = context.key
    if key is None:
        return _NO_IDENTITY
    return _NO_IDENTITY | {
        "X-Latchkey-Key-Id": key.id,
        "X-Latchkey-Environment": key.environment,
        "X-Latchkey-Permission": context.permission or "",
        "X-Latchkey-Customers": decisions.customers_of(key),
    }


def _refuse(context: RequestContext, problem: Problem) -> Answer:
    return edge.refusal(context, problem)._replace(unrecorded=_NO_IDENTITY)


def _for_nginx(answer: Answer) -> Answer:
    """Return what ``auth_request`` passes on: it makes a 500 of any refusal but 401 and 403."""
    status, headers, body, identity = answer
    # One line of ASCII, whatever a permission is called.
    problem = json.dumps(orjson.loads(body), separators=(",", ":")) if body else ""
    told = {"X-Latchkey-Status": str(status), "X-Latchkey-Problem": problem}
    return Answer(status if status in {200, 401} else 403, headers, unrecorded={**identity, **told})


def _exchange(
    environ: Environ, question: Question, context: RequestContext, answer: Answer
) -> Exchange:
    path, _, query = question.uri.partition("?")
    # Where nothing was read of what is forwarded, the record is about the request itself.
    is_own = question.dialect == ENVOY or not question.service
    is_served = question.environment in settings.API_ENVIRONMENTS
    return Exchange(
        meta=environ,
        method=question.method,
        path=path,
        query=query,
        address=question.address,
        environment=question.environment if is_served else None,
        status=answer.status,
        response_headers=answer.headers.items(),
        response_body=answer.body,
        route=context.route,
        kind=DECISION,
        # Else it is a name of no service, and could be anything.
        service=question.service if SERVICE_NAME.fullmatch(question.service) else "",
        host=question.host,
        told_elsewhere=TOLD_ELSEWHERE if is_own else _TOLD_IN_HEADERS,
    )
