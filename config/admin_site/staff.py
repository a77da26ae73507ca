"""Staff accounts and their roles in the admin.

Who may manage accounts is not thereby an administrator: rights are given by superusers, and
nobody changes an account that may do more than he may himself.
"""

from typing import Any

from django.contrib import admin
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.http import HttpRequest
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from backoffice.action_forms import RefusedForms
from backoffice.lists import CheckedList

RIGHTS = ("is_superuser", "groups", "user_permissions")

admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class StaffAdmin(RefusedForms, CheckedList, BaseUserAdmin, ModelAdmin):
    """People who may enter the admin, and what they may do there."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser", "groups")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show rights to all, and let superusers alone give them."""
        return () if request.user.is_superuser else RIGHTS

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return the account, locked until what is asked for is done.

        Read unlocked, an account that is promoted meanwhile would pass the comparison of rights,
        get the manager's password and lose the promotion again.
        """
        if request.method == "POST" and connection.in_atomic_block:
            list(User.objects.select_for_update().filter(pk=_number(object_id)))
            list(Group.objects.select_for_update(of=("self",)).filter(user=_number(object_id)))
        return super().get_object(request, object_id, from_field)

    @method_decorator(sensitive_post_parameters())
    def user_change_password(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Set a password, of an account that is locked meanwhile."""
        with transaction.atomic():
            return super().user_change_password(request, *args, **kwargs)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        with transaction.atomic():
            accounts = list(User.objects.select_for_update().filter(pk__in=queryset.values("pk")))
            if not all(_may_manage(request.user, account) for account in accounts):
                raise PermissionDenied
            super().delete_queryset(request, queryset)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse accounts that may do more, their passwords too."""
        return super().has_change_permission(request, obj) and _may_manage(request.user, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_manage(request.user, obj)


@admin.register(Group)
class RoleAdmin(RefusedForms, CheckedList, BaseGroupAdmin, ModelAdmin):
    """Roles: what a group of people may do; made by superusers."""

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return the role, locked until it is saved: accounts are compared by what it gives."""
        if request.method == "POST" and connection.in_atomic_block:
            list(Group.objects.select_for_update().filter(pk=_number(object_id)))
        return super().get_object(request, object_id, from_field)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)


def _number(object_id: str) -> int:
    """Return the id that an address names; 0, which no row has, for what is no number."""
    is_number = object_id.isascii() and object_id.isdigit() and len(object_id) < 19
    return int(object_id) if is_number else 0


def _may_manage(manager: Any, account: User | None) -> bool:
    """Whether an account may do nothing that ``manager`` may not do."""
    if manager.is_superuser or account is None:
        return True
    return not account.is_superuser and account.get_all_permissions() <= (
        manager.get_all_permissions()
    )
