"""The one error format under ``/api/``: problem details (RFC 9457) for whatever went wrong.

A ``Problem`` is raised with its code, which ``apikeys/problem_codes.py`` gives a status and a
title.
"""

import logging
from collections.abc import Iterable, Mapping, Set
from http import HTTPStatus
from itertools import islice
from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import IntegrityError
from django.http import Http404, HttpRequest
from rest_framework import exceptions
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.settings import api_settings

from apikeys.credentials import mask
from apikeys.guard.context import context_of
from apikeys.problem_codes import CODES
from database.outages import is_outage
from database.refusals import Conflict, Refused

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:latchkey:problem:"
RETRY_AFTER_SECONDS = 2
# An answer names so many errors of fields and counts the rest; of each it repeats so many
# characters.
MAX_ERRORS = 100
MAX_ERROR_TEXT = 300
UNKNOWN_FIELD = "This is not a field of this endpoint. Remove it."
# The code of a detail of REST framework's whose text is a number of errors that are not named.
NOT_NAMED = "not_named"


class Problem(exceptions.APIException):
    """An answer that is an error. ``members`` are added to its body, ``headers`` sent with it."""

    def __init__(
        self, code: str, detail: str, *, headers: dict[str, str] | None = None, **members: object
    ) -> None:
        # The detail may repeat the caller's input, which may hold a credential.
        super().__init__(mask(detail), code)
        self.code = code
        self.status_code, self.title = CODES[code].status, CODES[code].title
        self.headers = headers or {}
        self.members = members

    def body(self, request_id: str) -> dict[str, object]:
        return {
            "type": f"{TYPE}{self.code}",
            "title": self.title,
            "status": self.status_code,
            "detail": str(self.detail),
            "code": self.code,
            "request_id": request_id,
            **self.members,
        }


class FieldErrors(Problem):
    """A 400 that names the first fields at fault, and says how many errors there are."""

    def __init__(self, errors: list[tuple[str, str]], *, count: int | None = None) -> None:
        named = errors[:MAX_ERRORS]
        count = len(errors) if count is None else count
        which = f"; these are the first {len(named)} of {count:,}" if count > len(named) else ""
        super().__init__(
            "validation_failed",
            f"Some fields cannot be accepted. Correct those that `errors` names{which}.",
            errors=[{"field": _repeat(field), "message": _repeat(text)} for field, text in named],
            error_count=count,
        )


class ErrorList:
    """What is wrong with a request: the first errors, and the number of all.

    The others are only counted: a request of a megabyte can hold a hundred thousand.
    """

    def __init__(self) -> None:
        self.named: list[tuple[str, str]] = []
        self.count = 0

    def add(self, field: str, message: str) -> None:
        self.count += 1
        if len(self.named) < MAX_ERRORS:
            self.named.append((field, message))

    def add_unknown(self, names: Mapping[str, Any], known: Set[str], *, prefix: str = "") -> None:
        """Add the ``names`` that are not ``known``, without an error for each."""
        if names.keys() <= known:
            return
        unknown = (f"{prefix}{name}" for name in names if name not in known)
        room = MAX_ERRORS - len(self.named)
        self.named += [(field, UNKNOWN_FIELD) for field in islice(unknown, room)]
        self.count += len(names) - sum(name in names for name in known)

    def add_details(self, detail: Any, path: str = "") -> None:
        """Add REST framework's nested errors, their paths written as ``events[3].type``."""
        match detail:
            case dict():
                self._add_each(detail.items(), path)
            case list():
                # A list of messages is about what holds it, one of objects about each of them.
                self._add_each(
                    (
                        (index if isinstance(inner, dict | list) else "non_field_errors", inner)
                        for index, inner in enumerate(detail)
                    ),
                    path,
                )
            case _ if getattr(detail, "code", "") == NOT_NAMED:
                self.count += int(detail)
            case _:
                self.add(path or "body", str(detail))

    def _add_each(self, details: Iterable[tuple[Any, Any]], path: str) -> None:
        for name, inner in details:
            if isinstance(name, int):
                self.add_details(inner, f"{path}[{name}]")
            elif name in {None, "non_field_errors"}:
                self.add_details(inner, path)
            else:
                self.add_details(inner, f"{path}.{name}" if path else str(name))

    def as_details(self) -> dict[Any, Any]:
        """Return the errors as REST framework takes them, to be raised inside a serializer."""
        details: dict[Any, Any] = {field: [message] for field, message in self.named}
        return details | not_named(self.count - len(self.named))

    def raise_any(self) -> None:
        if self.count:
            raise FieldErrors(self.named, count=self.count)


def not_named(count: int) -> dict[None, Any]:
    """Return REST framework's detail for ``count`` errors; no field has its name."""
    return {None: [exceptions.ErrorDetail(str(count), NOT_NAMED)]} if count else {}


def _repeat(text: str) -> str:
    """Return what may be said of ``text``, which may be as long as a body and hold a secret."""
    masked = mask(text[: 2 * MAX_ERROR_TEXT])
    return masked if len(masked) <= MAX_ERROR_TEXT else f"{masked[:MAX_ERROR_TEXT]}…"


def not_found() -> Problem:
    return Problem("not_found", "Nothing is stored under this address. Check the path and the id.")


def unavailable() -> Problem:
    return Problem(
        "unavailable",
        "The request was not processed. Try it again in a few seconds.",
        headers={"Retry-After": str(RETRY_AFTER_SECONDS)},
    )


def write_conflict() -> Problem:
    """Return the 409 for a write that a concurrent change made impossible."""
    return Problem(
        "conflict",
        "A record that this request names was changed at the same time, and nothing was done."
        " Read it again, and repeat the request if it still applies.",
    )


def internal_error() -> Problem:
    """Return the 500; the cause is in our log under the request's id."""
    return Problem(
        "internal_error",
        "The request could not be completed. Report the request_id if it happens again.",
    )


def handle_exception(exc: Exception, context: dict[str, Any]) -> Response:
    """Answer any exception of a view; REST framework's ``EXCEPTION_HANDLER``."""
    request, problem = context["request"], as_problem(exc)
    request_id = context_of(request).request_id
    if isinstance(exc, IntegrityError):
        # Usually two requests racing; logged in case it is something else.
        logger.warning("request %s: %s", request_id, " ".join(str(exc).split()))
    if problem.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log_failure(request_id, exc)
    return respond(request, problem)


def respond(request: HttpRequest | Request, problem: Problem) -> Response:
    """Answer ``problem``, in a view or outside of one."""
    context = context_of(request)
    context.code = problem.code
    response = Response(
        problem.body(context.request_id),
        status=problem.status_code,
        headers=problem.headers,
        content_type=MEDIA_TYPE,
    )
    # Rendered here: outside of a view REST framework does not, and a page has another renderer.
    renderer: Any = api_settings.DEFAULT_RENDERER_CLASSES[0]
    response.accepted_renderer = renderer()
    response.accepted_media_type = MEDIA_TYPE
    response.renderer_context = {}  # type: ignore[attr-defined]
    response.render()
    return response


def log_failure(request_id: str, exc: Exception) -> None:
    """Log the cause: one line for an outage, a traceback for a defect."""
    if is_outage(exc) or (isinstance(exc, Problem) and exc.code == "unavailable"):
        reason = " ".join(str(exc).split())
        logger.error("request %s: %s: %s", request_id, type(exc).__name__, reason)
    else:
        logger.error("request %s failed", request_id, exc_info=exc)


def as_problem(exc: Exception) -> Problem:
    match exc:
        case Problem():
            return exc
        case Conflict():
            return Problem("conflict", str(exc))
        case Refused():
            return FieldErrors([(exc.field or "body", str(exc))])
        case IntegrityError():
            return write_conflict()
        case exceptions.ValidationError():
            errors = ErrorList()
            errors.add_details(exc.detail)
            return FieldErrors(errors.named, count=errors.count)
        case _:
            return _framework_problem(exc)


def _framework_problem(exc: Exception) -> Problem:
    match exc:
        case Http404() | exceptions.NotFound():
            return not_found()
        case exceptions.MethodNotAllowed():
            return Problem(
                "method_not_allowed", "Use one of the methods that the Allow header names."
            )
        case exceptions.NotAcceptable():
            return Problem("not_acceptable", "Send Accept: application/json, or no Accept header.")
        case PermissionDenied() | exceptions.PermissionDenied() | exceptions.NotAuthenticated():
            return Problem("permission_denied", "The API key may not do this.")
        case SuspiciousOperation():
            return FieldErrors([("request", "The request is not acceptable as it is.")])
        case _:
            return unavailable() if is_outage(exc) else internal_error()
