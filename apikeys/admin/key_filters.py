"""What the list of keys can be narrowed by."""

from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from unfold.contrib.filters.admin import DropdownFilter

from apikeys.models import ApiKey, Status
from apikeys.permissions import Permission

Keys = QuerySet[ApiKey]


class StatusFilter(DropdownFilter):
    """Active, inactive, expired."""

    title = "status"
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return Status.choices

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() in Status.values:
            return queryset.with_status(self.value())
        return queryset


class PermissionFilter(DropdownFilter):
    """Keys that were given a permission."""

    title = "permission"
    parameter_name = "permission"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return Permission.choices

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() in Permission.values:
            return queryset.granted(self.value())
        return queryset


class UseFilter(DropdownFilter):
    """Keys nobody uses, or has not for a while."""

    title = "last used"
    parameter_name = "use"
    DAYS = {"idle-30": 30, "idle-90": 90, "idle-365": 365}

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [
            ("never", "Never used"),
            *((value, f"Not for {days} days") for value, days in self.DAYS.items()),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "never":
            return queryset.never_used()
        if self.value() in self.DAYS:
            return queryset.idle_since(timezone.now() - timedelta(days=self.DAYS[self.value()]))
        return queryset


class ExpiryFilter(DropdownFilter):
    """Keys whose time runs out."""

    title = "expiry"
    parameter_name = "expiry"
    DAYS = {"7": 7, "30": 30, "90": 90}

    def lookups(self, request: HttpRequest, model_admin: Any) -> Any:
        return [
            *((value, f"Within {days} days") for value, days in self.DAYS.items()),
            ("none", "Never expires"),
        ]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        if self.value() == "none":
            return queryset.filter(expires_at=None)
        if self.value() in self.DAYS:
            return queryset.expiring_before(
                timezone.now() + timedelta(days=self.DAYS[self.value()])
            )
        return queryset
