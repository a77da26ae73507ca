"""``GET key``: what a caller may know of its own key."""

from typing import Any, ClassVar, cast

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from apikeys.environments import Environment
from apikeys.guard import throttling
from apikeys.guard.context import context_of
from apikeys.guard.key_lookup import SHOWN_FIELDS
from apikeys.guard.permissions import ANY_KEY
from apikeys.guard.views import GuardedView, endpoint
from apikeys.limiter.store import Decision
from apikeys.limits import WINDOWS, by_window
from apikeys.models import ApiKey, CustomerScope, Status
from apikeys.permissions import CODE
from apikeys.serializers import as_json, customer_ids


class WindowsSerializer(serializers.Serializer[dict[str, int]]):
    """A number for each window."""

    def get_fields(self) -> dict[str, Any]:
        return {window.name: serializers.IntegerField(min_value=0) for window in WINDOWS}


class KeySerializer(serializers.Serializer[dict[str, object]]):
    """A key, as ``apikeys.serializers`` writes it; given a row, it reads the same of that."""

    example: ClassVar = {
        "id": "4kQ9zTfB2mXe",
        "name": "Main Website Integration",
        "environment": "production",
        "status": "active",
        "permissions": ["customers:read", "licenses:read"],
        "customer_scope": "all",
        "customers": [],
        "limits": {window.name: window.default for window in WINDOWS},
        "networks": ["203.0.113.0/24"],
        "expires_at": "2027-01-31T00:00:00Z",
        "last_used_at": "2026-11-24T08:00:00Z",
        "created_at": "2026-01-31T12:00:00Z",
    }

    id = serializers.CharField(help_text="The public key id.")
    name = serializers.CharField()
    environment = serializers.ChoiceField(Environment.choices)
    status = serializers.ChoiceField(Status.choices)
    permissions = serializers.ListField(child=serializers.RegexField(f"^{CODE.pattern}$"))
    customer_scope = serializers.ChoiceField(CustomerScope.choices)
    customers = serializers.SerializerMethodField()
    limits = serializers.SerializerMethodField(help_text="The limits in force.")
    networks = serializers.ListField(child=serializers.CharField())
    expires_at = serializers.DateTimeField(allow_null=True)
    last_used_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()

    @extend_schema_field(serializers.ListField(child=serializers.UUIDField()))
    def get_customers(self, key: ApiKey) -> list[str]:
        return customer_ids(key)

    @extend_schema_field(WindowsSerializer)
    def get_limits(self, key: ApiKey) -> dict[str, int]:
        return by_window(key.limits)


class CallingKeySerializer(KeySerializer):
    """The calling key."""

    example: ClassVar = KeySerializer.example | {
        "remaining": {window.name: window.default - 1 for window in WINDOWS}
    }

    remaining = WindowsSerializer(help_text="What is left of them after this request.")


class CallingKeyView(GuardedView):
    """The calling key."""

    key_fields = SHOWN_FIELDS

    @endpoint(ANY_KEY, "Show the calling key", response=CallingKeySerializer)
    def get(self, request: Request, environment: str) -> Response:
        """Answer the key itself, with what is left of its limits."""
        decision = cast(Decision, context_of(request).decision)
        return Response(as_json(self.key) | {"remaining": throttling.remaining(decision)})
