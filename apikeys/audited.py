"""What the audit trail says of keys and of custom permissions."""

from collections.abc import Iterable
from uuid import UUID

from django.db import models

from apikeys.limits import WINDOWS, LimitWindow
from apikeys.models import ApiKey
from audit.kinds import Kind


class Action(models.TextChoices):
    """An audited action on a key."""

    CREATED = "created", "Created"
    UPDATED = "updated", "Updated"
    REGENERATED = "regenerated", "Regenerated"
    REVOKED = "revoked", "Revoked"
    ACTIVATED = "activated", "Activated"
    DISMISSED = "finding_dismissed", "Finding dismissed"
    BROUGHT_BACK = "finding_brought_back", "Finding brought back"
    HAND_OVER_MADE = "hand_over_made", "Hand-over made"
    HAND_OVER_OPENED = "hand_over_opened", "Hand-over opened"
    HAND_OVER_USED = "hand_over_used", "Hand-over used"
    HAND_OVER_EXPIRED = "hand_over_expired", "Hand-over expired"
    HAND_OVER_WITHDRAWN = "hand_over_withdrawn", "Hand-over withdrawn"


class PermissionAction(models.TextChoices):
    """An audited action on a custom permission."""

    CREATED = "created", "Created"
    UPDATED = "updated", "Updated"
    DELETED = "deleted", "Deleted"


KEYS = Kind("apikeys.apikey", "API key", Action, name_field="name")
PERMISSIONS = Kind("apikeys.custompermission", "Permission", PermissionAction, id_field="code")


def readable(key: ApiKey, scope: Iterable[UUID] | None) -> dict[str, str | int]:
    customers = "all" if scope is None else ", ".join(str(customer) for customer in scope)
    return {
        "name": key.name,
        "environment": key.environment,
        "permissions": ", ".join(key.permissions) or "none",
        "customers": customers or "none",
        **{f"limit per {window.name}": _readable_limit(key, window) for window in WINDOWS},
        "networks": ", ".join(key.networks) or "any",
        "expires": key.expires_at.isoformat() if key.expires_at else "never",
        "tags": ", ".join(key.tags) or "none",
        "owner": key.owner or "none",
        "note": key.note or "none",
    }


def _readable_limit(key: ApiKey, window: LimitWindow) -> str | int:
    limit: int | None = getattr(key, window.field)
    return "default" if limit is None else limit
