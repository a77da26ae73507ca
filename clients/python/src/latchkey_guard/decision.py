"""What Latchkey decided about a request, and the answer to give where it refused."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

PROBLEM_TYPE = "urn:latchkey:problem:"
MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 2
# Titles and lengths of windows as Latchkey gives them; ``keys/verify`` tells neither.
TITLES = {
    "ambiguous_path": "The path can be read in more than one way",
    "multiple_credentials": "More than one credential was sent",
    "key_missing": "No API key was sent",
    "key_invalid": "The API key is not valid",
    "key_revoked": "The API key was revoked",
    "key_expired": "The API key has expired",
    "environment_mismatch": "The API key belongs to another environment",
    "permission_denied": "The API key lacks a permission",
    "address_not_allowed": "The API key may not be used from this address",
    "service_disabled": "The service is disabled",
    "no_rule": "No rule of the service matches the request",
    "uri_too_long": "The address is too long",
    "rate_limited": "The rate limit is used up",
    "too_many_failures": "Too many refused requests from this address",
    "unavailable": "A service this API depends on is down",
}
REFUSALS = frozenset(status for status in HTTPStatus if status >= HTTPStatus.BAD_REQUEST)
# What may stand in a header field between quotes (RFC 6750 §3), and nothing that ends the line.
SCOPE = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
WINDOW_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}


@dataclass(frozen=True)
class Decision:
    """Whether a request may pass.

    ``status`` is what to answer (200 where it may pass), ``code`` is ``valid`` or the code of the
    problem, ``key`` has the fields of the caller's key where its secret matched.
    """

    status: int
    code: str
    detail: str
    environment: str
    key: Mapping[str, Any] | None = None
    permission: str | None = None
    remaining: Mapping[str, int] | None = None
    retry_after: int | None = None
    request_id: str = field(default="", compare=False)

    @property
    def valid(self) -> bool:
        """Whether the request may pass."""
        return self.code == "valid"

    @property
    def key_id(self) -> str:
        """The caller's key id; blank where the path is public."""
        return str(self.key["id"]) if self.key else ""

    def problem(self) -> dict[str, Any]:
        """Return the problem details (RFC 9457) that Latchkey's guard would answer."""
        problem: dict[str, Any] = {
            "type": PROBLEM_TYPE + self.code,
            "title": TITLES.get(self.code) or HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "code": self.code,
            "request_id": self.request_id,
        }
        if self.code == "permission_denied" and self.permission:
            problem["required_permission"] = self.permission
        if self.code == "environment_mismatch" and self.key:
            problem["key_environment"] = self.key["environment"]
            problem["endpoint_environment"] = self.environment
        return problem

    def body(self) -> bytes:
        """Return the problem details as JSON."""
        return json.dumps(self.problem(), ensure_ascii=False).encode()

    def headers(self) -> dict[str, str]:
        """Return the header fields for the answer to the caller, admitted or refused."""
        headers = {}
        if SCOPE.fullmatch(self.request_id):
            headers["X-Request-ID"] = self.request_id
        limits = self.key["limits"] if self.key else {}
        windows = [name for name in self.remaining or {} if name in limits.keys() & WINDOW_SECONDS]
        if windows and self.remaining:
            headers["RateLimit-Policy"] = ", ".join(
                f'"{name}";q={limits[name]};w={WINDOW_SECONDS[name]}' for name in windows
            )
            headers["RateLimit"] = ", ".join(
                f'"{name}";r={self.remaining[name]}' for name in windows
            )
        if self.valid:
            return headers
        headers |= {"Content-Type": MEDIA_TYPE, "Cache-Control": "no-store"}
        if self.retry_after is not None:
            headers["Retry-After"] = str(self.retry_after)
        if self.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
            headers["WWW-Authenticate"] = self._challenge()
        return headers

    def _challenge(self) -> str:
        """Return the ``WWW-Authenticate`` value (RFC 6750 §3)."""
        challenge = f'Bearer realm="{self.environment}"'
        if self.code == "permission_denied":
            scope = f', scope="{self.permission}"' if self.permission else ""
            return f'{challenge}, error="insufficient_scope"{scope}'
        if self.status == HTTPStatus.UNAUTHORIZED and self.code != "key_missing":
            return f'{challenge}, error="invalid_token"'
        return challenge


def refusal(environment: str, status: int, code: str, detail: str) -> Decision:
    """Return a decision that was made without asking Latchkey."""
    return Decision(status, code, detail, environment)


def unavailable(environment: str, retry_after: int = RETRY_AFTER_SECONDS) -> Decision:
    """Return the decision for a request that nobody could judge."""
    detail = "The request was not processed. Try it again in a few seconds."
    return Decision(503, "unavailable", detail, environment, retry_after=retry_after)


def is_verdict(answer: Any) -> bool:
    """Whether an answer of ``keys/verify`` is whole and does not contradict itself."""
    match answer:
        case {
            "valid": bool(valid),
            "code": str(code),
            "status": int(status),
            "detail": str(),
            "key": None | {"id": str(), "environment": str(), "limits": dict()},
            "permission": None | str(),
            "remaining": None | dict(),
            "retry_after": None | int(),
        }:
            is_known = status == HTTPStatus.OK if valid else status in REFUSALS
            return is_known and valid == (code == "valid") and _fits_headers(answer)
    return False


def _fits_headers(answer: Mapping[str, Any]) -> bool:
    """Whether what ``Decision.headers`` writes of an answer are numbers and one word."""
    numbers = [*(answer["remaining"] or {}).values()]
    numbers += (answer["key"] or {"limits": {}})["limits"].values()
    permission = answer["permission"]
    is_word = permission is None or SCOPE.fullmatch(permission) is not None
    return is_word and all(isinstance(number, int) for number in numbers)
