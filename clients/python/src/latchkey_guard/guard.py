"""Asks ``POST keys/verify`` about each request, over connections that are kept."""

import hmac
import json
import logging
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import anyio
import httpx

from latchkey_guard import credentials
from latchkey_guard.deadline import Deadline, Transport
from latchkey_guard.decision import Decision, is_verdict, refusal, unavailable

logger = logging.getLogger("latchkey_guard")

MAX_URI_LENGTH = 8_000
MAX_KEPT = 10_000
# A key may reach many customers, each with an id of 36 characters.
MAX_ANSWER_BYTES = 1_000_000
MAX_CONNECTIONS = 100
LIMITS = httpx.Limits(max_connections=MAX_CONNECTIONS, max_keepalive_connections=MAX_CONNECTIONS)
ENVIRONMENT = re.compile("[A-Za-z0-9_-]+")
# What a path may have unquoted (RFC 3986 §3.3). Latchkey refuses what is ambiguous.
PATH_SAFE = "/:@!$&'()*+,;=-._~"


class Guard:
    """Judges the keys of one environment.

    ``url`` is Latchkey's address, ``key`` a key of the same environment with ``keys:verify``.
    ``timeout`` is in seconds, for the whole question: to connect, to ask, and all of the answer.
    With ``max_age`` an admission is kept so many seconds and not asked again: **a revoke then takes
    that long to bind, and what is kept counts against no limit.** It is 0 unless you say otherwise.
    One guard serves all threads of a process; each event loop needs its own.
    """

    def __init__(
        self,
        url: str,
        *,
        environment: str,
        key: str,
        timeout: float = 1.0,
        max_age: float = 0,
        verify_tls: Any = True,
    ) -> None:
        if urlsplit(url).scheme not in {"http", "https"}:
            raise ValueError(
                "The url is no HTTP address. Write it as https://latchkey.example.com."
            )
        if not key:
            raise ValueError("There is no key. Create one with the permission keys:verify.")
        if not ENVIRONMENT.fullmatch(environment):
            raise ValueError("The environment is no name. Write it as production.")
        self.environment = environment
        self.max_age = max_age
        self._timeout = timeout
        self._address = f"{url.rstrip('/')}/api/{environment}/v1/keys/verify"
        self._options: dict[str, Any] = {
            # A compressed answer could be longer than it looks.
            "headers": {
                "Authorization": f"Bearer {key}",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
            },
            "timeout": httpx.Timeout(timeout),
            "trust_env": False,
        }
        self._verify_tls = verify_tls
        self._deadline = Deadline()
        self._client: httpx.Client | None = None
        self._async_client: httpx.AsyncClient | None = None
        self._lock = threading.Lock()
        self._kept = _Kept(max_age)

    def verify(self, credential: str, *, traceparent: str = "", **asked: Any) -> Decision:
        """Decide about a credential: for ``permission``, or for ``service``, ``method``, ``path``.

        ``address`` is the caller's, which the key's networks are compared with; ``cost`` and
        ``count`` as in the description of ``keys/verify``. ``traceparent`` is that of the request
        (W3C Trace Context), by which the decision is found in Latchkey's request log. It does not
        raise: without an answer from Latchkey the decision is a 503.
        """
        body = {"key": credential, **_given(asked)}
        kept = self._kept.get(body)
        if kept is not None:
            return kept
        self._deadline.start(self._timeout)
        answer = bytearray()
        headers = credentials.trace_headers(traceparent)
        try:
            with self._sync().stream("POST", self._address, json=body, headers=headers) as response:
                for chunk in response.iter_raw():
                    _append(answer, chunk)
            return self._read(response, answer, body)
        except (httpx.HTTPError, _TooLong) as error:
            return self._fail(error)

    async def averify(self, credential: str, *, traceparent: str = "", **asked: Any) -> Decision:
        """Decide as ``verify`` does, without blocking the event loop."""
        body = {"key": credential, **_given(asked)}
        kept = self._kept.get(body)
        if kept is not None:
            return kept
        if self._async_client is None:
            self._async_client = httpx.AsyncClient(
                **self._options, verify=self._verify_tls, limits=LIMITS
            )
        headers = credentials.trace_headers(traceparent)
        asking = self._async_client.stream("POST", self._address, json=body, headers=headers)
        answer = bytearray()
        try:
            with anyio.fail_after(self._timeout):
                async with asking as response:
                    async for chunk in response.aiter_raw():
                        _append(answer, chunk)
            return self._read(response, answer, body)
        except (httpx.HTTPError, TimeoutError, _TooLong) as error:
            return self._fail(error)

    def close(self) -> None:
        """Close the connections of ``verify``."""
        if self._client is not None:
            self._client.close()

    async def aclose(self) -> None:
        """Close the connections of ``averify``."""
        if self._async_client is not None:
            await self._async_client.aclose()

    def _sync(self) -> httpx.Client:
        with self._lock:
            if self._client is None:
                transport = Transport(
                    self._deadline, verify=self._verify_tls, connections=MAX_CONNECTIONS
                )
                self._client = httpx.Client(**self._options, transport=transport)
            return self._client

    def _read(self, response: httpx.Response, content: bytearray, body: dict[str, Any]) -> Decision:
        """Return the decision of an answer; 503 where it is none."""
        try:
            answer = json.loads(content)
        except (ValueError, RecursionError):
            answer = None
        if response.status_code != httpx.codes.OK or not is_verdict(answer):
            code = answer.get("code", "") if isinstance(answer, dict) else ""
            # Neither the credential nor the body, which repeats what was sent.
            logger.error("Latchkey did not decide: status %d %s", response.status_code, code)
            return unavailable(self.environment)
        decision = Decision(
            answer["status"],
            answer["code"],
            answer["detail"],
            self.environment,
            answer["key"],
            answer["permission"],
            answer["remaining"],
            answer["retry_after"],
            response.headers.get("X-Request-ID", ""),
        )
        if decision.valid:
            self._kept.put(body, decision)
        return decision

    def _fail(self, error: Exception) -> Decision:
        logger.error("Latchkey did not answer: %s", type(error).__name__)
        return unavailable(self.environment)


def question(
    guard: Guard,
    authorization: Sequence[str],
    api_key: Sequence[str],
    *,
    method: str,
    path: str,
    service: str = "",
    permission: str = "",
    address: str = "",
    traceparent: str = "",
) -> tuple[str, dict[str, Any]] | Decision:
    """Return the arguments of ``verify`` for a request, or the refusal that needs no question.

    ``path`` is decoded, as the application is going to route it: what is judged is what runs.
    """
    try:
        credential = credentials.read(authorization, api_key)
    except credentials.SeveralCredentials:
        detail = "Send the key once, in either the Authorization or the X-API-Key header."
        return refusal(guard.environment, 400, "multiple_credentials", detail)
    asked: dict[str, Any] = {"address": address, "traceparent": traceparent}
    if service:
        path = quote(path, safe=PATH_SAFE, errors="surrogateescape")
        if len(path) > MAX_URI_LENGTH:
            detail = "The address is too long. Send at most 8,000 bytes."
            return refusal(guard.environment, 414, "uri_too_long", detail)
        asked |= {"service": service, "method": method, "path": path}
    elif permission:
        asked["permission"] = permission
    return credential, asked


class _TooLong(ValueError):
    """An answer that is longer than any decision."""


def _append(answer: bytearray, chunk: bytes) -> None:
    answer += chunk
    if len(answer) > MAX_ANSWER_BYTES:
        raise _TooLong


class _Kept:
    """Admissions that are not asked about again for a while, by a digest of the question."""

    def __init__(self, max_age: float) -> None:
        self._max_age = max_age
        self._secret = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._rows: OrderedDict[bytes, tuple[float, Decision]] = OrderedDict()

    def get(self, body: dict[str, Any]) -> Decision | None:
        if self._max_age <= 0:
            return None
        with self._lock:
            until, decision = self._rows.get(self._digest(body), (0.0, None))
        return decision if until > time.monotonic() else None

    def put(self, body: dict[str, Any], decision: Decision) -> None:
        if self._max_age <= 0:
            return
        with self._lock:
            self._rows[self._digest(body)] = (time.monotonic() + self._max_age, decision)
            while len(self._rows) > MAX_KEPT:
                self._rows.popitem(last=False)

    def _digest(self, body: dict[str, Any]) -> bytes:
        named = repr(sorted(body.items())).encode()
        return hmac.digest(self._secret, named, "sha256")


def _given(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value not in {None, ""}}
