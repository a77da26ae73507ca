"""Who calls: reads the credential, finds its key with one query, and judges it.

Nothing about a key is kept between requests, so a revoke, a narrowed permission or a lowered
limit binds on the next request in every process. The checks run in the order the public
documentation gives; the first that fails is the answer, and only after the secret matched
does an answer say anything about the key.
"""

import re
from base64 import b64decode
from collections.abc import Callable
from datetime import datetime
from functools import partial
from time import time_ns
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.utils import timezone
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from apikeys import credentials
from apikeys.credentials import Credential
from apikeys.guard import key_lookup, throttling
from apikeys.guard.context import RequestContext, context_of
from apikeys.guard.key_lookup import Found, StoredSecret, upgrade_digest
from apikeys.guard.problems import Problem
from apikeys.limiter import counters
from apikeys.limiter.store import Window
from apikeys.models import ApiKey
from apikeys.peppers import Peppers
from database.client_address import UNKNOWN, budget_subject, client_address

# A credential that was sent, or why there is none that could be good. Nothing is judged yet, and
# nothing counted: what it is sent to may come first, or take no key at all.
Claim = Credential | Problem

BEARER = re.compile(r"bearer +(\S+)", re.IGNORECASE)


class ApiKeyAuthentication(BaseAuthentication):
    """Authenticates ``Authorization: Bearer <key>`` and ``X-API-Key: <key>`` (RFC 6750 §2.1).

    ``request.auth`` is the ``ApiKey``; there is no user behind a key.
    """

    def authenticate(self, request: Request) -> tuple[AnonymousUser, ApiKey]:
        http = request._request
        environment: str = request.parser_context["kwargs"]["environment"]
        address = client_address(http.META, settings.TRUSTED_PROXIES)
        view = request.parser_context["view"]
        claim = read_claim(http.META, environment, with_basic=view.takes_basic)
        find = partial(key_lookup.find, fields=view.key_fields)
        key = authenticate(claim, environment, address, context_of(http), find)
        return AnonymousUser(), key

    def authenticate_header(self, request: Request) -> str:
        return challenge(request.parser_context["kwargs"]["environment"])


def authenticate(
    claim: Claim,
    environment: str,
    address: str,
    context: RequestContext,
    find: Callable[[str], Found] = key_lookup.find,
    *,
    counts_failures: bool = True,
) -> ApiKey:
    """Return the key that a request from ``address`` may use now; raise the ``Problem`` otherwise.

    Whoever has looked up the key already gives it with ``find``.
    """
    try:
        key = identify(claim, environment, context, find)
    except Problem as problem:
        if problem.status_code == 401 and counts_failures:
            count_failure(address)
        raise
    check_network(key, address, context)
    context.is_key_accepted = True
    return key


def identify(
    claim: Claim,
    environment: str,
    context: RequestContext,
    find: Callable[[str], Found] = key_lookup.find,
) -> ApiKey:
    """Return the key of a credential, if it is good in ``environment`` now; raise the 401."""
    if isinstance(claim, Problem):
        raise claim
    peppers: Peppers = settings.API_KEY_PEPPERS
    began_at = time_ns()
    found, stored_secrets, now = find(claim.key_id)
    context.lookup_time += time_ns() - began_at
    key, stored = _match(found, stored_secrets, claim.secret, peppers, now)
    if key is None or stored is None:
        raise _refusal("key_invalid", environment)
    context.key, context.secret_version = key, stored.number
    check_status(key, environment, now)
    if stored.pepper != peppers.newest:
        upgrade_digest(stored, key, claim.secret, peppers)
    return key


def confirm(key: ApiKey, environment: str, address: str, context: RequestContext) -> None:
    """Raise what a key, admitted a moment ago and locked since, would be answered now."""
    now = timezone.now()
    accepted = key.secrets.accepted(now).exclude(digest="")
    if context.secret_version not in accepted.values_list("number", flat=True):
        raise _refusal("key_invalid", environment)
    check_status(key, environment, now)
    check_network(key, address, context)


def read_claim(meta: dict[str, Any], environment: str, *, with_basic: bool = False) -> Claim:
    """Return the credential that a request was sent; ``with_basic`` as in ``read_credential``."""
    try:
        return parse_claim(read_credential(meta, environment, with_basic=with_basic), environment)
    except Problem as problem:
        return problem


def parse_claim(text: str, environment: str) -> Claim:
    return credentials.parse(text) or _refusal("key_invalid", environment)


def claimed_key_id(claim: Claim) -> str:
    """Return the key id to look up; blank where there is none."""
    return claim.key_id if isinstance(claim, Credential) else ""


def check_status(key: ApiKey, environment: str, now: datetime) -> None:
    """Raise the 401 for a key, its secret matched, that is not good in ``environment`` now."""
    if key.is_revoked:
        raise _refusal("key_revoked", environment)
    if key.is_expired(now):
        raise _refusal("key_expired", environment)
    if key.environment != environment:
        raise _refusal("environment_mismatch", environment, key_environment=key.environment)


def check_network(key: ApiKey, address: str, context: RequestContext) -> None:
    """Raise the 403 for an address outside the key's networks; it tells what is left."""
    if not key.allows_address(address):
        context.decision = throttling.peek(key)
        place = "an unknown address" if address == UNKNOWN else address
        raise Problem(
            "address_not_allowed",
            f"The key may not be used from {place}."
            " Call from an allowed network, or have the key's networks changed.",
        )


def count_failure(address: str) -> None:
    """Count a refused request of this address; raise the 429 once there were too many.

    Done here because REST framework's throttles never see a failed authentication.
    """
    limit, seconds = settings.AUTH_FAILURE_LIMIT
    window = Window("failures", limit, seconds)
    decision = counters().hit(f"failures/{seconds}/{budget_subject(address)}", (window,))
    if not decision.is_admitted:
        raise Problem(
            "too_many_failures",
            "Too many requests from this address were refused."
            " Wait as long as Retry-After says and send a valid key.",
            headers={"Retry-After": str(decision.retry_after)},
        )


def challenge(environment: str, **attributes: str) -> str:
    """Return a ``WWW-Authenticate`` value (RFC 6750 §3)."""
    pairs = {"realm": environment, **attributes}
    return "Bearer " + ", ".join(f'{name}="{value}"' for name, value in pairs.items())


def read_credential(meta: dict[str, Any], environment: str, *, with_basic: bool = False) -> str:
    """Return the one credential sent, well-formed or not.

    ``with_basic``: the password of HTTP Basic is taken for one too (RFC 7617).
    """
    authorization = meta.get("HTTP_AUTHORIZATION", "").strip()
    api_key = meta.get("HTTP_X_API_KEY", "").strip()
    # The server joins a repeated header with commas, which no credential holds.
    named = authorization.lower()
    is_known = "bearer" in named or (with_basic and "basic" in named)
    is_repeated = "," in api_key or ("," in authorization and is_known)
    # Granian passes a header with invalid bytes as an empty string; it counts as sent.
    if ("HTTP_AUTHORIZATION" in meta and "HTTP_X_API_KEY" in meta) or is_repeated:
        raise Problem(
            "multiple_credentials",
            "Send the key once, in either the Authorization or the X-API-Key header.",
        )
    if api_key:
        return str(api_key)
    scheme = named.split(maxsplit=1)[:1]
    if with_basic and scheme == ["basic"]:
        return _password(authorization)
    if scheme != ["bearer"] or named == "bearer":
        raise key_missing(environment)
    match = BEARER.fullmatch(authorization)
    return match[1] if match else ""


def _password(authorization: str) -> str:
    try:
        text = b64decode(authorization[len("basic") :].strip(), validate=True).decode()
    except ValueError:
        return ""
    return text.partition(":")[2]


def key_missing(environment: str) -> Problem:
    return Problem(
        "key_missing",
        "The request needs an API key. Send it as Authorization: Bearer <key>.",
        headers={"WWW-Authenticate": challenge(environment)},
    )


def _match(
    key: ApiKey | None,
    stored_secrets: list[StoredSecret],
    secret: str,
    peppers: Peppers,
    now: datetime,
) -> tuple[ApiKey | None, StoredSecret | None]:
    """Return the key and its secret that fits the one sent, compared in constant time."""
    if not stored_secrets:
        # As much work for an unknown key id, or one without a secret, as for a known one.
        peppers.sign(peppers.newest, environment="", key_id="", secret=secret)
    for stored in stored_secrets:
        if (
            key is not None
            and (stored.retires_at is None or stored.retires_at > now)
            and peppers.verify(
                stored.digest,
                stored.pepper,
                environment=key.environment,
                key_id=key.id,
                secret=secret,
            )
        ):
            return key, stored
    return key, None


DETAILS = {
    "key_invalid": "The key is not known. Check that it was copied whole and is still current.",
    "key_revoked": "The key was withdrawn. Ask an administrator to activate it or for another.",
    "key_expired": "The key's time is over. Ask an administrator for a later expiry or a new key.",
}


def _refusal(code: str, environment: str, *, key_environment: str = "") -> Problem:
    members = {}
    if code == "environment_mismatch":
        detail = (
            f"The key is for {key_environment} and the request went to {environment}."
            f" Send it to {key_environment}, or use a {environment} key."
        )
        members = {"key_environment": key_environment, "endpoint_environment": environment}
    else:
        detail = DETAILS[code]
    header = challenge(environment, error="invalid_token", error_description=detail)
    return Problem(code, detail, headers={"WWW-Authenticate": header}, **members)
