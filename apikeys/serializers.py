"""How a key is shown outside the admin: the fields of ``GET key`` and of ``--json``."""

from typing import Any

from django.db.models import QuerySet

from apikeys.limits import by_window
from apikeys.models import ApiKey


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
        "expires_at": _instant(key.expires_at),
        "last_used_at": _instant(key.last_used_at),
        "created_at": _instant(key.created_at),
    }


def with_scope(keys: "QuerySet[ApiKey]") -> "QuerySet[ApiKey]":
    """Prefetch the customers of the keys."""
    return keys.prefetch_related("scope")


def _instant(timestamp: Any) -> str | None:
    """Return the time as RFC 3339 in UTC, ending in Z."""
    return timestamp.isoformat().replace("+00:00", "Z") if timestamp else None
