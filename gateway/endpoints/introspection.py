"""``POST introspect``: whether a credential is good now in the environment (RFC 7662).

Nothing is counted against the credential, and its key's networks are not judged: the standard has
no field for the client's address.
"""

from functools import partial
from typing import Any, ClassVar

from rest_framework import serializers

from apikeys.environments import Environment
from apikeys.guard import authentication, key_lookup
from apikeys.guard.context import Decided, RequestContext
from apikeys.guard.key_lookup import SHOWN_FIELDS
from apikeys.guard.problems import Problem
from apikeys.guard.serializers import StrictSerializer, TextField

# Stable, where an address depends on who asks. The environment follows.
ISSUER = "urn:latchkey:"


class IntrospectInput(StrictSerializer):
    """A credential to be looked up."""

    example: ClassVar = {"token": "lk_prod_4kQ9zTfB2mXe_…"}

    token = TextField(
        trim_whitespace=False, help_text="The credential that was presented. It is kept nowhere."
    )
    token_type_hint = TextField(required=False, allow_blank=True, help_text="Ignored.")


class IntrospectionSerializer(serializers.Serializer[dict[str, object]]):
    """What is known of a credential (RFC 7662 §2.2); of one that is not active nothing else."""

    example: ClassVar = {
        "active": True,
        "scope": "customers:read licenses:read",
        "client_id": "4kQ9zTfB2mXe",
        "username": "Main Website Integration",
        "token_type": "Bearer",
        "exp": 1_801_353_600,
        "iat": 1_769_860_800,
        "sub": "4kQ9zTfB2mXe",
        "iss": "urn:latchkey:production",
        "environment": "production",
    }

    active = serializers.BooleanField()
    scope = serializers.CharField(
        required=False, help_text="The key's permissions, separated by spaces."
    )
    client_id = serializers.CharField(required=False, help_text="The key id.")
    username = serializers.CharField(required=False, help_text="The key's name.")
    token_type = serializers.CharField(required=False)
    exp = serializers.IntegerField(required=False, help_text="Absent from a key without expiry.")
    iat = serializers.IntegerField(required=False, help_text="When the key was created.")
    sub = serializers.CharField(required=False, help_text="The key id.")
    iss = serializers.CharField(required=False)
    environment = serializers.ChoiceField(Environment.choices, required=False)


def introspect(
    values: dict[str, Any], environment: str, context: RequestContext
) -> dict[str, object]:
    """Return what RFC 7662 says of a token; the caller's context is told of the decision."""
    presented = RequestContext(context.request_id)
    find = partial(key_lookup.find, fields=SHOWN_FIELDS)
    try:
        claim = authentication.parse_claim(values["token"], environment)
        key = authentication.identify(claim, environment, presented, find)
    except Problem as problem:
        presented.code = problem.code
        context.decided = Decided(presented, problem.status_code)
        return {"active": False}
    presented.is_key_accepted = True
    context.decided = Decided(presented, 200)
    expiry = {} if key.expires_at is None else {"exp": int(key.expires_at.timestamp())}
    return {
        "active": True,
        "scope": " ".join(key.permissions),
        "client_id": key.pk,
        "username": key.name,
        "token_type": "Bearer",
        **expiry,
        "iat": int(key.created_at.timestamp()),
        "sub": key.pk,
        "iss": f"{ISSUER}{environment}",
        "environment": environment,
    }
