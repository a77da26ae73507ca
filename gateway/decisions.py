"""Whether a request to another service may pass: the guard's checks, in the guard's order.

The path is unambiguous, the service known and enabled; the first rule that matches says what is
needed; then credential and network (401, 403), limits (429), and last whether there is a rule and
the key has what it needs (403). The first check that fails is the answer.
"""

from collections.abc import Callable
from time import time_ns
from typing import Any, NamedTuple

from django.conf import settings
from django.utils import timezone

from apikeys.guard import authentication, isolation, throttling
from apikeys.guard.context import RequestContext
from apikeys.guard.permissions import require
from apikeys.guard.problems import Problem
from apikeys.limiter.store import Decision
from apikeys.models import ApiKey
from gateway import lookup
from gateway.lookup import ServiceRow
from gateway.patterns import split_path
from gateway.rules import ANY_KEY, PUBLIC, CompiledRules, RuleLine, first_match

ALL_CUSTOMERS = "all"

# What counts against a key's limits, or only asks them: the key and the cost.
Count = Callable[[ApiKey, int], Decision]


def decide(
    meta: dict[str, Any],
    context: RequestContext,
    *,
    environment: str,
    service: str,
    method: str,
    path: str,
    address: str,
) -> None:
    """Return if a request to ``service`` may pass; raise the ``Problem`` if not.

    ``path`` is raw and without its query, ``address`` the client's.
    """
    segments = segments_of(path)
    claim = authentication.read_claim(meta, environment)
    began_at = time_ns()
    row, found = lookup.find(service, authentication.claimed_key_id(claim))
    context.lookup_time = time_ns() - began_at
    rule = matching_rule(row, method, segments)
    context.route = rule.path if rule else ""

    def authenticate() -> ApiKey:
        return authentication.authenticate(
            claim, environment, address, context, find=lambda _: found
        )

    def count(key: ApiKey, cost: int) -> Decision:
        return throttling.count(key, context, cost)

    judge(rule, environment, context, authenticate=authenticate, count=count)


def segments_of(path: str) -> tuple[str, ...]:
    """Return the segments of a raw path; raise the 400 for an ambiguous one."""
    segments = split_path(path)
    if segments is None:
        raise Problem(
            "ambiguous_path",
            "The path can be read in more than one way, so no rule was looked at."
            " Send it with a slash first, and without dot segments, empty segments and encoded"
            " separators.",
        )
    return segments


def require_environment(environment: str) -> None:
    if environment not in settings.API_ENVIRONMENTS:
        raise Problem(
            "environment_not_served",
            "This environment is not served here. Use one that API_ENVIRONMENTS names.",
        )


def matching_rule(
    service: ServiceRow | None,
    method: str,
    segments: tuple[str, ...],
    rules_of: Callable[[ServiceRow], CompiledRules] = lookup.rules,
) -> RuleLine | None:
    """Return the first rule that matches, if any; raise for no service and for a disabled one."""
    if service is None:
        raise Problem(
            "unknown_service",
            "There is no service of this name. Create it, or correct the proxy's configuration.",
        )
    if not service.is_enabled:
        raise Problem(
            "service_disabled",
            "The service is disabled, so no request to it passes."
            " Ask an administrator to enable it.",
        )
    return first_match(rules_of(service), method, segments)


def judge(
    rule: RuleLine | None,
    environment: str,
    context: RequestContext,
    *,
    authenticate: Callable[[], ApiKey],
    count: Count,
    cost: int | None = None,
) -> None:
    """Return if a request that ``rule`` matches may pass; raise the ``Problem`` if not.

    ``cost`` replaces the rule's.
    """
    if rule is not None and rule.needs == PUBLIC:
        return
    key = authenticate()
    cost = cost or (1 if rule is None else rule.cost)
    decision = count(key, cost)
    if not decision.is_admitted:
        raise throttling.refusal(decision, cost)
    if rule is None:
        raise Problem(
            "no_rule",
            "No rule of the service matches the method and the path."
            " Check both, or have a rule added.",
        )
    if rule.needs != ANY_KEY:
        require(rule.needs, environment, context)


def customers_of(key: ApiKey) -> str:
    """Return ``all``, or the ids of the customers that a scoped key reaches now."""
    if not key.is_scoped:
        return ALL_CUSTOMERS
    rows = isolation.reached(key).order_by("customer_id").values_list("customer_id", flat=True)
    return ",".join(map(str, rows))


class Preview(NamedTuple):
    """What a request would be answered: 200 and no code if it passes; and the rule that matched."""

    status: int
    code: str
    detail: str
    rule: RuleLine | None


def preview(
    service: str,
    *,
    environment: str,
    method: str,
    path: str,
    key: ApiKey | None = None,
    address: str | None = None,
) -> Preview:
    """Return what a request with ``key``, or with none, would be answered now.

    Nothing is counted and nothing recorded. Without ``address`` the key's networks do not matter.
    """
    context = RequestContext("")
    context.key = key
    rule = None

    def authenticate() -> ApiKey:
        if key is None:
            raise authentication.key_missing(environment)
        authentication.check_status(key, environment, timezone.now())
        if address is not None:
            authentication.check_network(key, address, context)
        return key

    try:
        require_environment(environment)
        segments = segments_of(path.partition("?")[0])
        rule = matching_rule(lookup.find(service, key_id="")[0], method, segments)
        judge(rule, environment, context, authenticate=authenticate, count=throttling.peek)
    except Problem as problem:
        return Preview(problem.status_code, problem.code, str(problem.detail), rule)
    return Preview(200, "", "The request passes.", rule)
