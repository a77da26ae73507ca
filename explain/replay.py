"""The guard's checks once more, in the guard's order, for a request on record.

Each check is the guard's own function. What cannot be known any more (what the counters said, a
secret that matched no key) ends the replay as unknown, or stands as the record has it.
"""

from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Any, NamedTuple

from django.urls import Resolver404, resolve
from rest_framework.exceptions import MethodNotAllowed

from apikeys.guard import authentication, permissions, problems, throttling
from apikeys.guard.context import RequestContext
from apikeys.guard.problems import Problem
from apikeys.guard.views import (
    GuardedView,
    Operation,
    UnknownEndpointView,
    require_customers,
)
from apikeys.limiter.store import CountersUnavailable, Decision
from apikeys.models import ApiKey
from apikeys.problem_codes import CODES
from database.client_address import UNKNOWN
from explain.past import PastKey, PastService
from explain.recorded import Recorded
from gateway import decisions
from gateway.lookup import ServiceRow
from gateway.rules import ANY_KEY, ANY_METHOD, RuleLine, compile_rules

# What refuses a request before anything is known of its key, with or without one.
CREDENTIAL_CODES = frozenset(
    {"key_missing", "key_invalid", "multiple_credentials", "too_many_failures"}
)
# Of those, what the same request would be answered at any time.
LASTING_CODES = frozenset({"key_missing", "multiple_credentials"})
# What is refused of a proxy's question before a rule is looked at.
QUESTION_CODES = frozenset(
    {
        "proxy_not_trusted", "not_found", "environment_not_served", "uri_too_long",
        "header_too_long", "forwarded_incomplete", "unavailable",
    }
)  # fmt: skip
# Every code that a check of this module answers.
CHECKED_CODES = CREDENTIAL_CODES | {
    "key_revoked", "key_expired", "environment_mismatch", "address_not_allowed", "rate_limited",
    "method_not_allowed", "permission_denied", "ambiguous_path", "unknown_service",
    "service_disabled", "no_rule",
}  # fmt: skip
ADMITTED = Decision(True, (), (), (), ())


class Check(StrEnum):
    """The checks; their order is that in which a replay begins them."""

    QUESTION = "The proxy's question"
    PATH = "Path"
    SERVICE = "Service"
    CREDENTIAL = "Credential"
    STATUS = "Status, expiry, environment"
    NETWORK = "Network"
    LIMITS = "Limits"
    METHOD = "Method"
    RULE = "Rule"
    PERMISSION = "Permission"
    CUSTOMERS = "Customer scope"
    REQUEST = "The request itself"


class Unknown(Exception):
    """A fact that is not on record."""


class Situation(NamedTuple):
    """A time, and key and service as they were then, where there were any."""

    at: datetime
    is_now: bool
    key: PastKey | None
    service: PastService | None = None


class Verdict(NamedTuple):
    """The checks that were passed and the one that ended the replay, if one did.

    ``code`` is blank if nothing refused, or if the end is a fact that is not known.
    """

    passed: tuple[Check, ...]
    check: Check | None = None
    code: str = ""
    status: int = 200
    detail: str = ""
    # Of a permission that is missing, and what a rule takes of the limits.
    required_permission: str = ""
    cost: int = 1

    @property
    def is_refused(self) -> bool:
        return bool(self.code)

    @property
    def is_unknown(self) -> bool:
        return self.check is not None and not self.code

    @property
    def has_passed(self) -> bool:
        return self.check is None


def replay(recorded: Recorded, situation: Situation) -> Verdict:
    """Return what the guard says of a request on record in a situation."""
    attempt = _Replay(recorded, situation)
    try:
        if recorded.is_decision:
            attempt.decide()
        else:
            attempt.guard()
    except Problem as problem:
        required = str(problem.members.get("required_permission", ""))
        return attempt.verdict(problem.code, problem.status_code, str(problem.detail), required)
    except Unknown as unknown:
        return attempt.verdict("", 0, str(unknown))
    except CountersUnavailable:
        return attempt.verdict("", 0, "The counters cannot be reached.")
    return Verdict((*attempt.passed, *attempt.begun), cost=attempt.cost)


class _Replay:
    """One pass through the checks; each is begun before it is made."""

    def __init__(self, recorded: Recorded, situation: Situation) -> None:
        self.recorded, self.situation = recorded, situation
        self.log = recorded.log
        self.environment: str = self.log.environment or ""
        self.passed: list[Check] = []
        self.begun: list[Check] = []
        self.context = RequestContext("")
        self.rule: RuleLine | None = None

    def begin(self, check: Check, *settings: str) -> None:
        """Go on to a check; it needs ``settings`` of the key to be known."""
        self.passed += self.begun
        self.begun = [check]
        past = self.situation.key
        for name in settings:
            if past is not None and name in past.unknown:
                raise Unknown(
                    f"The audit trail does not lead to the key's {name} as stored:"
                    " it was changed past it."
                )

    def verdict(self, code: str, status: int, detail: str, required: str = "") -> Verdict:
        passed, check = tuple(self.passed), self.begun[0]
        return Verdict(passed, check, code, status, detail, required, self.cost)

    @property
    def cost(self) -> int:
        return 1 if self.rule is None else self.rule.cost

    def guard(self) -> None:
        """Make the checks of ``GuardedView`` in its order."""
        view = self._view()
        key = self._authenticate()
        self._count(key, 1)
        if view is None:
            self.begin(Check.METHOD)
            raise Unknown("The path on record leads to no endpoint of this version.")
        if issubclass(view, UnknownEndpointView):
            self.begin(Check.REQUEST)
            raise problems.not_found()
        self.begin(Check.METHOD)
        method = self.log.method
        if method not in view.methods:
            raise problems.as_problem(MethodNotAllowed(method))
        self.begin(Check.PERMISSION, "permissions")
        permissions.require_declared(view, method, self.environment, self.context)
        operation = view.operations.get(method)
        self.begin(Check.CUSTOMERS, "customers")
        if operation is not None:
            require_customers(operation, key)
            # Further checks come before these: a request that was refused by one says nothing.
            if self.log.code in {"", "permission_denied"}:
                self._require_more(operation, key)
        self._judge_request()

    def _view(self) -> type[GuardedView] | None:
        try:
            view = getattr(resolve(self.log.path).func, "cls", None)
        except Resolver404:
            return None
        return view if view is not None and issubclass(view, GuardedView) else None

    def _require_more(self, operation: Operation, key: ApiKey) -> None:
        """Make the checks that the body or the stored rows asked for, as far as they are known."""
        problem = self.recorded.problem
        required = problem.get("required_permission")
        if problem.get("required_customer_scope") is not None and key.is_scoped:
            raise permissions.scope_denial(self.environment, str(required))
        more = [required] if required else []
        if operation.body_permissions is not None and (body := self.recorded.body) is not None:
            more += operation.body_permissions(body)
        if more:
            self.begin(Check.PERMISSION, "permissions")
            permissions.require_permissions(key, more)

    def _judge_request(self) -> None:
        """Take the rest from the record: the key is not what it depends on."""
        self.begin(Check.REQUEST)
        code = self.log.code
        if not code or code in CHECKED_CODES:
            return
        if self.situation.is_now:
            raise Unknown("It depends on the request, and on what is stored, not on the key.")
        raise self._as_recorded()

    def decide(self) -> None:
        """Make the checks of ``gateway.decisions`` in its order."""
        log = self.log
        if log.code in QUESTION_CODES and log.key_id is None:
            self.begin(Check.QUESTION)
            if self.situation.is_now:
                raise Unknown("It depends on the proxy, whose question is not kept as a whole.")
            raise self._as_recorded()
        if self.recorded.is_introspection:
            self._identify()
            return
        self.rule = self._rule()
        decisions.judge(
            self.rule,
            self.environment,
            self.context,
            authenticate=self._authenticate,
            count=self._count,
        )

    def _rule(self) -> RuleLine | None:
        log = self.log
        if not log.service:
            # A key that was verified for a permission, or for none.
            return RuleLine((ANY_METHOD,), "/**", log.permission or ANY_KEY)
        self.begin(Check.PATH)
        segments = decisions.segments_of(log.path)
        self.begin(Check.SERVICE)
        past = self.situation.service
        if past is None:
            return decisions.matching_rule(None, log.method, segments)
        if past.is_enabled is None:
            raise Unknown("The audit trail does not say whether the service was enabled.")
        row = ServiceRow(None, past.is_enabled, 0)
        return decisions.matching_rule(row, log.method, segments, partial(_compiled, past))

    def _identify(self) -> ApiKey:
        self.begin(Check.CREDENTIAL)
        past = self.situation.key
        if past is None:
            raise self._without_key()
        key = self.context.key = past.key
        version = self.log.secret_version
        if self.situation.is_now and not _is_accepted(key, version, self.situation.at):
            raise Problem(
                "key_invalid",
                f"Version {version} of the secret, with which the request came, is not accepted"
                " any more. Send the key's current secret.",
            )
        self.begin(Check.STATUS, "status", "expires")
        authentication.check_status(key, self.environment, self.situation.at)
        return key

    def _authenticate(self) -> ApiKey:
        key = self._identify()
        self.begin(Check.NETWORK, "networks")
        authentication.check_network(key, self.log.address or UNKNOWN, self.context)
        return key

    def _without_key(self) -> Exception:
        code = self.log.code
        if code in LASTING_CODES or (code in CREDENTIAL_CODES and not self.situation.is_now):
            return self._as_recorded()
        if code in CREDENTIAL_CODES:
            return Unknown("The secret that was sent is not kept, so it cannot be tried again.")
        return Unknown("The request was answered before its key was looked up.")

    def _count(self, key: ApiKey, cost: int) -> Decision:
        self.begin(Check.LIMITS)
        decision = ADMITTED
        if self.situation.is_now:
            decision = throttling.peek(key, cost)
            if not decision.is_admitted:
                raise throttling.refusal(decision, cost)
        elif self.log.code == "rate_limited":
            raise self._as_recorded()
        if self.recorded.is_decision:
            self._begin_rule()
        return decision

    def _begin_rule(self) -> None:
        self.begin(Check.RULE)
        if self.rule is None:
            return
        self.begin(Check.PERMISSION, "permissions")
        if not self.log.service and not self.log.permission:
            if self.log.code != "permission_denied":
                return
            if self.situation.is_now:
                raise Unknown("Which permission was asked for is not on record.")
            raise self._as_recorded()

    def _as_recorded(self) -> Exception:
        if self.log.code not in CODES:
            return Unknown(f"This version knows no code {self.log.code!r}.")
        said = self.recorded.problem.get("detail")
        return Problem(self.log.code, str(said or "As the record says; it cannot be made again."))


def _is_accepted(key: ApiKey, version: int | None, now: datetime) -> bool:
    accepted = key.secrets.accepted(now).exclude(digest="")
    return version in accepted.values_list("number", flat=True)


def _compiled(past: PastService, _: ServiceRow) -> Any:
    if past.rules is None:
        raise Unknown("The audit trail does not say in which order the rules were.")
    return compile_rules(past.rules)
