"""``POST keys/verify``: what the guard would answer to a request with the key that the body holds.

The checks are those of ``gateway.decisions``, in their order. They are made for a service's rule,
for one permission, or for any key. The answer is 200 whatever was decided; an error is about the
caller or the request.
"""

from collections.abc import Callable
from functools import partial
from time import time_ns
from typing import Any, ClassVar

from django.core.validators import RegexValidator
from rest_framework import serializers

from apikeys.guard import authentication, key_lookup, throttling
from apikeys.guard.answers import represent
from apikeys.guard.authentication import Claim
from apikeys.guard.context import Decided, RequestContext
from apikeys.guard.key_lookup import SHOWN_FIELDS, Found
from apikeys.guard.problems import FieldErrors, Problem
from apikeys.guard.serializers import (
    FlagField,
    RawField,
    StrictSerializer,
    TextField,
    WholeNumberField,
)
from apikeys.limiter.store import Decision
from apikeys.models import ApiKey
from apikeys.permissions import CODE, MAX_CODE_LENGTH
from apikeys.problem_codes import CODES
from apikeys.serializers import KeySerializer, WindowsSerializer
from database.client_address import UNKNOWN, parse_address
from gateway import decisions, lookup
from gateway.lookup import ServiceRow
from gateway.models import MAX_NAME_LENGTH
from gateway.patterns import MAX_URI_LENGTH
from gateway.rules import ANY_KEY, ANY_METHOD, MAX_COST, METHOD, RuleLine

VALID = "valid"
REQUEST_FIELDS = ("service", "method", "path")


class AddressField(TextField):
    """An IPv4 or IPv6 address, in canonical form."""

    def to_internal_value(self, data: Any) -> str:
        address = parse_address(super().to_internal_value(data))
        if address is None:
            raise serializers.ValidationError("This is not an address. Send IPv4 or IPv6.")
        return str(address)


class VerifyInput(StrictSerializer):
    """A key to be judged, for a permission or for a request to a service."""

    example: ClassVar = {
        "key": "lk_prod_4kQ9zTfB2mXe_…",
        "permission": "orders:read",
        "address": "203.0.113.7",
    }

    key = RawField(
        allow_blank=True,
        help_text="The credential that was presented. It is kept nowhere.",
    )
    permission = RawField(
        required=False,
        max_length=MAX_CODE_LENGTH,
        validators=[
            RegexValidator(rf"\A{CODE.pattern}\Z", "This is not a code. Write it as orders:read.")
        ],
        help_text="The permission that is needed. Without it any key will do.",
    )
    service = RawField(
        required=False,
        max_length=MAX_NAME_LENGTH,
        help_text="The service whose rules say what is needed, with `method` and `path`.",
    )
    method = RawField(
        required=False,
        validators=[
            RegexValidator(rf"\A{METHOD.pattern}\Z", "This is no method. Send one as GET.")
        ],
        help_text="The method of the request to the service.",
    )
    path = RawField(
        required=False,
        max_length=MAX_URI_LENGTH,
        help_text="Its path as it was sent, not decoded; a query after `?` decides nothing.",
    )
    address = AddressField(
        required=False,
        help_text="The client's. Without it a key with networks is refused, and a refused"
        " credential is counted against no address; the request log then has none.",
    )
    cost = WholeNumberField(
        required=False,
        min_value=1,
        max_value=MAX_COST,
        help_text="How much of the key's limits the request takes. The rule's if left out, or 1.",
    )
    count = FlagField(
        default=True, help_text="False: only say what would be answered, and count nothing."
    )

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        named = [name for name in REQUEST_FIELDS if name in attrs]
        if named and len(named) < len(REQUEST_FIELDS):
            missing = next(name for name in REQUEST_FIELDS if name not in attrs)
            message = "Send service, method and path together, or none of them."
            raise serializers.ValidationError({missing: message})
        if named and "permission" in attrs:
            message = "The service's rules say what is needed. Send either permission or service."
            raise serializers.ValidationError({"permission": message})
        return attrs


class VerdictSerializer(serializers.Serializer[dict[str, object]]):
    """What was decided."""

    example: ClassVar = {
        "valid": True,
        "code": VALID,
        "status": 200,
        "detail": "The request may pass.",
        "key": KeySerializer.example,
        "permission": "customers:read",
        "remaining": {"minute": 599, "hour": 19_999, "day": 199_999},
        "retry_after": None,
    }

    valid = serializers.BooleanField()
    code = serializers.ChoiceField((VALID, *CODES), help_text="`valid`, or the guard's code.")
    status = serializers.IntegerField(help_text="What the guard would answer.")
    detail = serializers.CharField()
    key = KeySerializer(allow_null=True, help_text="Null unless the secret matched.")
    permission = serializers.CharField(
        allow_null=True, help_text="The one that is needed. Null: none, or not known."
    )
    remaining = WindowsSerializer(
        allow_null=True, help_text="What is left of the limits. Null where they were not asked."
    )
    retry_after = serializers.IntegerField(allow_null=True, help_text="Seconds to wait.")


def verify(values: dict[str, Any], environment: str, context: RequestContext) -> dict[str, object]:
    """Return the decision about what ``VerifyInput`` read; the caller's context is told of it."""
    service = values.get("service", "")
    path, _, query = values.get("path", "").partition("?")
    claim = _claim(values["key"], environment)
    presented = RequestContext(context.request_id)
    began_at = time_ns()
    row, found = _look_up(service, authentication.claimed_key_id(claim))
    presented.lookup_time = time_ns() - began_at
    rule, problem = None, None
    try:
        rule = _rule(values, row, path)
        decisions.judge(
            rule,
            environment,
            presented,
            authenticate=partial(
                authentication.authenticate,
                claim,
                environment,
                values.get("address", UNKNOWN),
                presented,
                lambda _: found,
                counts_failures=values["count"] and "address" in values,
            ),
            count=_count(presented) if values["count"] else partial(_ask, presented),
            cost=values.get("cost"),
        )
    except Problem as refused:
        problem = refused
        presented.code = refused.code
    verdict = _verdict(presented, rule, problem)
    context.decided = Decided(
        presented,
        verdict["status"],
        service=service,
        method=values.get("method", ""),
        path=path,
        query=query,
        address=values.get("address", ""),
        route=rule.path if rule and service else "",
    )
    return verdict


def _claim(credential: str, environment: str) -> Claim:
    if not credential:
        return authentication.key_missing(environment)
    return authentication.parse_claim(credential, environment)


def _look_up(service: str, key_id: str) -> tuple[ServiceRow | None, Found]:
    if not service:
        return None, key_lookup.find(key_id, SHOWN_FIELDS)
    row, found = lookup.find(service, key_id, SHOWN_FIELDS)
    if row is None:
        raise FieldErrors([("service", "There is no such service. Check its name.")])
    return row, found


def _rule(values: dict[str, Any], row: ServiceRow | None, path: str) -> RuleLine | None:
    """Return what is needed: by the service's rules, or as a rule of its own."""
    if row is None:
        return RuleLine((ANY_METHOD,), "/**", values.get("permission", ANY_KEY))
    return decisions.matching_rule(row, values["method"], decisions.segments_of(path))


def _count(presented: RequestContext) -> Callable[[ApiKey, int], Decision]:
    return lambda key, cost: throttling.count(key, presented, cost)


def _ask(presented: RequestContext, key: ApiKey, cost: int) -> Decision:
    presented.decision = throttling.peek(key, cost)
    return presented.decision


def _verdict(
    presented: RequestContext, rule: RuleLine | None, problem: Problem | None
) -> dict[str, Any]:
    key, decision = presented.key, presented.decision
    retry_after = problem.headers.get("Retry-After") if problem else None
    return {
        "valid": problem is None,
        "code": problem.code if problem else VALID,
        "status": problem.status_code if problem else 200,
        "detail": str(problem.detail) if problem else "The request may pass.",
        "key": represent(KeySerializer, key) if key else None,
        "permission": rule.permission if rule else None,
        "remaining": throttling.remaining(decision) if decision else None,
        "retry_after": int(retry_after) if retry_after else None,
    }
