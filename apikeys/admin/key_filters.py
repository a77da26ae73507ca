"""What the list of keys can be narrowed by."""

from datetime import timedelta
from typing import Any

from django.utils import timezone

from apikeys.models import Status
from apikeys.permissions import Permission
from backoffice.filters import ChoiceFilter


class StatusFilter(ChoiceFilter):
    """Active, inactive, expired."""

    title = parameter_name = "status"
    offered = Status.choices

    def fitting(self, rows: Any, value: str) -> Any:
        return rows.with_status(value)


class PermissionFilter(ChoiceFilter):
    """Keys that were given a permission."""

    title = parameter_name = "permission"
    offered = Permission.choices

    def fitting(self, rows: Any, value: str) -> Any:
        return rows.granted(value)


class UseFilter(ChoiceFilter):
    """Keys that were never used, or not for a while."""

    title = "last used"
    parameter_name = "use"
    offered = (
        ("never", "Never used"),
        *((f"idle-{days}", f"Not for {days} days") for days in (30, 90, 365)),
    )

    def fitting(self, rows: Any, value: str) -> Any:
        if value == "never":
            return rows.never_used()
        days = int(value.removeprefix("idle-"))
        return rows.idle_since(timezone.now() - timedelta(days=days))


class ExpiryFilter(ChoiceFilter):
    """Keys whose time runs out."""

    title = parameter_name = "expiry"
    offered = (
        *((f"{days}", f"Within {days} days") for days in (7, 30, 90)),
        ("none", "Never expires"),
    )

    def fitting(self, rows: Any, value: str) -> Any:
        if value == "none":
            return rows.filter(expires_at=None)
        return rows.expiring_before(timezone.now() + timedelta(days=int(value)))
