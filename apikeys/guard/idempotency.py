"""``Idempotency-Key``: a POST that is sent again has its effect once and the same answer.

The claim is committed before the work starts, so that a second request is told at once. The
answer is stored in the transaction of the effect: after a crash there are both or neither,
and the claim of a request that died lapses. What an answer gives once, a secret, is stored as null.
"""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from http import HTTPStatus
from typing import Any

from django.db import IntegrityError, transaction
from django.http import Http404, HttpResponse
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.crypto import salted_hmac
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.guard import problems
from apikeys.guard.answers import JSONRenderer
from apikeys.guard.problems import FieldErrors, Problem
from apikeys.models import ApiKey, IdempotentRequest
from database.periodic_tasks import PeriodicTask
from database.refusals import Refused

HEADER = "Idempotency-Key"
MAX_KEY_LENGTH = 255
KEPT_FOR = timedelta(hours=24)
CLAIMED_FOR = timedelta(seconds=60)


def idempotent(
    method: Callable[..., Response], *, given_once: tuple[str, ...] = ()
) -> Callable[..., HttpResponseBase]:
    """Make a view method answer a request that is sent again as it did the first time."""

    @wraps(method)
    def run_once(view: Any, request: Request, **kwargs: Any) -> HttpResponseBase:
        name = request.headers.get(HEADER)
        if not view.resolve_target() or name is None:
            return method(view, request, **kwargs)
        if not (0 < len(name) <= MAX_KEY_LENGTH and name.isascii() and name.isprintable()):
            raise FieldErrors([(HEADER, f"Use 1 to {MAX_KEY_LENGTH} printable ASCII characters.")])
        claimed = _claim(view.key, name, _fingerprint(request), timezone.now())
        if claimed.status is not None:
            return _replay(claimed)
        return _run(claimed, request, lambda: method(view, request, **kwargs), given_once)

    return run_once


def _run(
    claimed: IdempotentRequest,
    request: Request,
    work: Callable[[], Response],
    given_once: tuple[str, ...],
) -> Response:
    try:
        with transaction.atomic():
            response = work()
            given = dict.fromkeys(response.data.keys() & given_once)
            _complete(claimed, response, response.data | given)
        return response
    except (Problem, Refused, Http404) as error:
        problem = problems.as_problem(error)
        if problem.status_code in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            # What the key may do can change; what was answered must not outlast it.
            _forget(claimed)
            raise
        # Refused by the endpoint itself, with nothing written: that is the answer to keep.
        response = problems.respond(request, problem)
        _complete(claimed, response, response.data)
        return response
    except BaseException:
        _forget(claimed)
        raise


def prune(now: datetime) -> int:
    """Delete responses older than 24 hours; return how many."""
    return IdempotentRequest.objects.filter(created_at__lt=now - KEPT_FOR).delete()[0]


PRUNING = PeriodicTask("pruning of idempotency keys", 600, prune)


def _forget(claimed: IdempotentRequest) -> None:
    IdempotentRequest.objects.filter(pk=claimed.pk, claim=claimed.claim).delete()


def _claim(key: ApiKey, name: str, fingerprint: str, now: datetime) -> IdempotentRequest:
    claim = IdempotentRequest(
        key=key,
        idempotency_key=name,
        fingerprint=fingerprint,
        claimed_until=now + CLAIMED_FOR,
        created_at=now,
    )
    same = IdempotentRequest.objects.filter(key=key, idempotency_key=name)
    same.filter(created_at__lt=now - KEPT_FOR).delete()
    try:
        with transaction.atomic():
            claim.save(force_insert=True)
        return claim
    except IntegrityError:
        existing = same.first()
    if existing is None:
        # The other claim was deleted between our INSERT and this SELECT: that request failed.
        raise _in_progress()
    first = existing
    if first.fingerprint != fingerprint:
        raise Problem(
            "idempotency_mismatch",
            "Another request was sent under this Idempotency-Key. Use a new one for each.",
        )
    if first.status is not None:
        return first
    lapsed = same.filter(claim=first.claim, claimed_until__lte=now, status=None)
    if not lapsed.update(claim=claim.claim, claimed_until=claim.claimed_until):
        raise _in_progress()
    first.claim = claim.claim
    return first


def _complete(claimed: IdempotentRequest, response: Response, data: Any) -> None:
    stored = IdempotentRequest.objects.filter(pk=claimed.pk, claim=claimed.claim).update(
        status=response.status_code,
        content_type=response.content_type or "application/json",
        location=response.get("Location", ""),
        etag=response.get("ETag", ""),
        body=JSONRenderer().render(data).decode(),
    )
    if not stored:
        # The claim lapsed and another request took over: its effect counts, ours must not.
        raise _in_progress()


def _replay(first: IdempotentRequest) -> HttpResponse:
    response = HttpResponse(first.body, status=first.status, content_type=first.content_type)
    response["Idempotent-Replayed"] = "true"
    for name, value in (("Location", first.location), ("ETag", first.etag)):
        if value:
            response[name] = value
    return response


def _in_progress() -> Problem:
    return Problem(
        "idempotency_in_progress",
        "The first request under this Idempotency-Key is still running. Try again shortly.",
        headers={"Retry-After": "1"},
    )


def _fingerprint(request: Request) -> str:
    """Return 64 hex digits of a request; keyed, for a body may hold a passphrase to be guessed."""
    body = json.dumps(request.data, sort_keys=True, separators=(",", ":"))
    written = f"{request.method} {request.path}\n{body}"
    return salted_hmac("apikeys.idempotency", written, algorithm="sha256").hexdigest()
