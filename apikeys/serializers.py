"""How a key is shown outside the admin: to whoever holds it, and to those who administer it."""

from typing import Any, ClassVar

import orjson
from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from apikeys.environments import Environment
from apikeys.guard.answers import represent, written
from apikeys.limits import WINDOWS, by_window
from apikeys.models import ApiKey, CustomerScope, Status
from apikeys.permissions import CODE


class WindowsSerializer(serializers.Serializer[dict[str, int]]):
    """A number for each window."""

    def get_fields(self) -> dict[str, Any]:
        return {window.name: serializers.IntegerField(min_value=0) for window in WINDOWS}


class KeySerializer(serializers.Serializer[dict[str, object]]):
    """What the holder of a key may know of it."""

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
        return sorted(str(row.customer_id) for row in key.scope.all()) if key.is_scoped else []

    @extend_schema_field(WindowsSerializer)
    def get_limits(self, key: ApiKey) -> dict[str, int]:
        return by_window(key.limits)


class ManagedKeySerializer(KeySerializer):
    """A key, with what was noted of it for those who administer."""

    example: ClassVar = KeySerializer.example | {
        "tags": ["website"],
        "owner": "web@example.com",
        "note": "Rotated by the vault each month",
    }

    tags = serializers.ListField(child=serializers.CharField())
    owner = serializers.CharField()
    note = serializers.CharField()


def administered(key: ApiKey) -> dict[str, Any]:
    """Return a key as the endpoints of keys answer it, with its times as text."""
    shown: dict[str, Any] = orjson.loads(written(represent(ManagedKeySerializer, key)))
    return shown


def with_scope(keys: "QuerySet[ApiKey]") -> "QuerySet[ApiKey]":
    """Prefetch the customers of the keys."""
    return keys.prefetch_related("scope")
