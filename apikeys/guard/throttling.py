"""Rate limits of a key: one counter operation decides all windows and fills the headers.

Headers follow draft-ietf-httpapi-ratelimit-headers-10: ``RateLimit-Policy`` names each window
with its quota (q) and length (w), ``RateLimit`` what remains (r) and the seconds until there
is more (t). ``X-RateLimit-*``, which more clients read, tell the same of the tightest window: the
one with the fewest units left, of equal ones the longest.
"""

import sys
from collections.abc import Sequence
from functools import lru_cache
from time import time_ns
from typing import cast

from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from apikeys.guard.context import RequestContext, context_of
from apikeys.guard.problems import Problem
from apikeys.limiter import counters
from apikeys.limiter.store import MICROSECONDS, Decision, Window
from apikeys.limits import WINDOWS, Limits, by_window
from apikeys.models import ApiKey


class KeyThrottle(BaseThrottle):
    """Counts a request of the calling key in its environment, or refuses it."""

    def allow_request(self, request: Request, view: object) -> bool:
        context = context_of(request)
        self.decision = count(cast(ApiKey, context.key), context)
        return self.decision.is_admitted

    def wait(self) -> float:
        return self.decision.retry_after


def count(key: ApiKey, context: RequestContext, cost: int = 1) -> Decision:
    """Count ``cost`` units of the key's limits, or none if one of the limits has no room."""
    began_at = time_ns()
    context.decision = counters().hit(_subject(key), _windows(key.limits), cost)
    context.counted_at = time_ns()
    context.limiter_time += context.counted_at - began_at
    return context.decision


def peek(key: ApiKey, cost: int = 1) -> Decision:
    return counters().peek(_subject(key), _windows(key.limits), cost)


def refusal(decision: Decision, cost: int = 1) -> Problem:
    """Return the 429; it says so where no wait will do, the limit being below the cost."""
    below = [
        f"{window.limit:,} per {window.name}" for window in decision.windows if window.limit < cost
    ]
    if below:
        detail = (
            f"The request takes {cost:,} of the key's limit, which is {' and '.join(below)}, so it"
            " never passes. Ask for a higher limit, or have its cost lowered."
        )
    else:
        detail = (
            f"The key's limit per {' and '.join(decision.violated)} is used up."
            " Wait as long as Retry-After says, or ask for a higher limit."
        )
    return Problem(
        "rate_limited",
        detail,
        headers={"Retry-After": str(decision.retry_after)},
        violated_policies=decision.violated,
    )


def headers(decision: Decision) -> dict[str, str]:
    """Return the header fields; the draft's are structured field lists (RFC 9651)."""
    state = []
    fewest, limit, until_more = sys.maxsize, 0, 0
    for window, left, reset in zip(
        decision.windows, decision.remaining, decision.resets, strict=True
    ):
        seconds = -(-reset // MICROSECONDS)
        state.append(f'"{window.name}";r={left};t={seconds}')
        if left <= fewest:
            fewest, limit, until_more = left, window.limit, seconds
    return {
        "RateLimit-Policy": _policy(decision.windows),
        "RateLimit": ", ".join(state),
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(fewest),
        "X-RateLimit-Reset": str(until_more),
    }


def remaining(decision: Decision) -> dict[str, int]:
    return by_window(decision.remaining)


def _subject(key: ApiKey) -> str:
    return f"key/{key.environment}/{key.id}"


@lru_cache(maxsize=4096)
def _policy(windows: Sequence[Window]) -> str:
    return ", ".join(f'"{window.name}";q={window.limit};w={window.seconds}' for window in windows)


@lru_cache(maxsize=4096)
def _windows(limits: Limits) -> tuple[Window, ...]:
    pairs = zip(WINDOWS, limits, strict=True)
    return tuple(Window(window.name, limit, window.seconds) for window, limit in pairs)
