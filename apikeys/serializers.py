"""How a key is shown outside the admin: to whoever holds it, and to those who administer it."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from apikeys.limits import by_window
from apikeys.models import ApiKey
from database import timestamps


def as_json(key: ApiKey) -> dict[str, Any]:
    """Return what a key's holder may know; ``id`` is the key id, limits are those in force."""
    return {
        "id": key.pk,
        "name": key.name,
        "environment": key.environment,
        "status": key.status.value,
        "permissions": list(key.permissions),
        "customer_scope": key.customer_scope,
        "customers": customer_ids(key),
        "limits": by_window(key.limits),
        "networks": list(key.networks),
        "expires_at": _timestamp(key.expires_at),
        "last_used_at": _timestamp(key.last_used_at),
        "created_at": _timestamp(key.created_at),
    }


def administered(key: ApiKey) -> dict[str, Any]:
    """Return a key as ``--json`` and the endpoints of keys have it, with what others noted."""
    return {**as_json(key), "tags": list(key.tags), "owner": key.owner, "note": key.note}


def customer_ids(key: ApiKey) -> list[str]:
    """Return the ids of the selected customers; none of a key for all."""
    return sorted(str(row.customer_id) for row in key.scope.all()) if key.is_scoped else []


def with_scope(keys: "QuerySet[ApiKey]") -> "QuerySet[ApiKey]":
    """Prefetch the customers of the keys."""
    return keys.prefetch_related("scope")


def _timestamp(value: datetime | None) -> str | None:
    return timestamps.text(value) if value else None
