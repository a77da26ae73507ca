"""How a key is shown outside the admin: the fields of ``GET key`` and of ``--json``."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from apikeys.limits import by_window
from apikeys.models import ApiKey
from database import timestamps


def as_json(key: ApiKey) -> dict[str, Any]:
    """Return a key's public fields; ``id`` is the key id, limits are those in force."""
    return {
        "id": key.pk,
        "name": key.name,
        "environment": key.environment,
        "status": key.status.value,
        "permissions": list(key.permissions),
        "customer_scope": key.customer_scope,
        "customers": sorted(str(row.customer_id) for row in key.scope.all())
        if key.is_scoped
        else [],
        "limits": by_window(key.limits),
        "networks": list(key.networks),
        "expires_at": _timestamp(key.expires_at),
        "last_used_at": _timestamp(key.last_used_at),
        "created_at": _timestamp(key.created_at),
    }


def with_scope(keys: "QuerySet[ApiKey]") -> "QuerySet[ApiKey]":
    """Prefetch the customers of the keys."""
    return keys.prefetch_related("scope")


def _timestamp(value: datetime | None) -> str | None:
    return timestamps.text(value) if value else None
