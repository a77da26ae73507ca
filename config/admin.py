"""Staff accounts and their roles in the admin.

Who may manage accounts is not thereby an administrator: rights are given by superusers, and
nobody changes an account that may do more than he may himself.
"""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from apikeys.admin.refusing import RefusedForms
from apikeys.admin.searching import BoundedSearch

RIGHTS = ("is_superuser", "groups", "user_permissions")
FILTERS = {"is_active__exact", "is_superuser__exact", "groups__id__exact"}

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class StaffAdmin(RefusedForms, BoundedSearch, BaseUserAdmin, ModelAdmin):
    """People who may enter the admin, and what they may do there."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser", "groups")

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow the filters above and no other."""
        return lookup in FILTERS

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show rights to all, and let superusers alone give them."""
        return () if request.user.is_superuser else RIGHTS

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse accounts that may do more, their passwords too."""
        return super().has_change_permission(request, obj) and _reaches(request.user, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As above."""
        return super().has_delete_permission(request, obj) and _reaches(request.user, obj)


@admin.register(Group)
class RoleAdmin(RefusedForms, BoundedSearch, BaseGroupAdmin, ModelAdmin):
    """Roles: what a group of people may do; made by superusers."""

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest | None = None) -> bool:
        """Allow none: the list has no filters."""
        return False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Superusers."""
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers."""
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Superusers."""
        return bool(request.user.is_superuser)


def _reaches(manager: Any, account: User | None) -> bool:
    """Whether an account may do nothing that ``manager`` may not do."""
    if manager.is_superuser or account is None:
        return True
    return not account.is_superuser and account.get_all_permissions() <= (
        manager.get_all_permissions()
    )
