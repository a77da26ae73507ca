"""Staff accounts and their roles in the admin.

Who may manage accounts is not thereby an administrator: rights are given by superusers, and
nobody changes an account that may do more than he may himself.
"""

from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import PermissionDenied
from django.db import connection, transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.views.decorators.debug import sensitive_post_parameters
from unfold.admin import ModelAdmin
from unfold.decorators import action
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm

from audit.actors import actor_of
from audit.trail import record
from backoffice import proofs
from backoffice.action_forms import RefusedForm, RefusedForms, form_id_of
from backoffice.changelists.checked_list import CheckedList
from backoffice.columns import MINUTES, time_column
from config.admin_site.staff_fields import FLAG_TEXTS, RolesField
from database.refusals import Refused
from people import superusers
from people.audited import StaffAction, changes, role_state, staff_state

FLAGS, GRANTS = ("is_superuser", "is_staff", "is_active"), (
    "groups", "user_permissions", "permissions",
)  # fmt: skip
RIGHTS = ("is_superuser", "groups", "user_permissions")
# One word each in the menu, headings, buttons and the audit trail.
User._meta.verbose_name, User._meta.verbose_name_plural = "staff account", "staff"
Group._meta.verbose_name, Group._meta.verbose_name_plural = "role", "roles"


class Recorded(RefusedForms):
    """A mixin for model admins whose forms save by themselves: records what they changed.

    Rights are given by who has proved lately who they are.
    """

    def state(self, row: Any) -> dict[str, Any]:
        """Return what the trail says of a row."""
        raise NotImplementedError

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        if _gives_rights(form) and not proofs.is_fresh(request):
            form.add_error(
                None,
                "This gives rights to staff, and you proved who you are too long ago."
                " Confirm that it is you, and send it again.",
            )
            form.proof = proofs.fields(request, form_id_of(self))
            raise RefusedForm(form)
        return super().save_form(request, form, change)  # type: ignore[misc]

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        stored = type(obj)._default_manager.get(pk=obj.pk) if change else None
        form.state_before = self.state(stored) if stored else None
        super().save_model(request, obj, form, change)  # type: ignore[misc]

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        """Record the whole change: groups and permissions are saved now."""
        super().save_related(request, form, formsets, change)  # type: ignore[misc]
        row = form.instance
        differences = changes(form.state_before, self.state(row))
        if differences or not change:
            action = StaffAction.UPDATED if change else StaffAction.CREATED
            record(row, action, actor_of(request), differences)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self._record_deletion(request, obj)
        super().delete_model(request, obj)  # type: ignore[misc]

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        with transaction.atomic():
            for row in queryset:
                self._record_deletion(request, row)
            super().delete_queryset(request, queryset)  # type: ignore[misc]

    def _record_deletion(self, request: HttpRequest, row: Any) -> None:
        gone = changes(self.state(row), None)
        record(row, StaffAction.DELETED, actor_of(request), gone)


admin.site.unregister(User)
admin.site.unregister(Group)


@admin.register(User)
class StaffAdmin(Recorded, CheckedList, BaseUserAdmin, ModelAdmin):
    """People who may enter the admin, and what they may do there."""

    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_active", "is_superuser", "logged_in")
    list_filter = ("is_active", "is_superuser", "groups")
    # Django's own says that more can be edited once the account is there.
    add_form_template = None
    add_fieldsets = (
        (None, {"fields": ("username", "email", "password1", "password2")}),
        ("Roles", {"fields": ("is_staff", "groups", "is_superuser")}),
    )
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Roles", {"fields": ("is_active", "is_staff", "groups", "is_superuser")}),
        ("Single permissions", {"fields": ("user_permissions",), "classes": ("collapse",)}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    filter_horizontal = ("user_permissions",)
    actions_list = ("see_roles",)
    actions_detail = ("see_sessions",)
    logged_in = time_column("last_login", "Last login", shown=MINUTES, ordering="last_login")

    def state(self, row: User) -> dict[str, Any]:
        return staff_state(row)

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kw: Any) -> Any:
        if db_field.name == "groups":
            return RolesField()
        field = super().formfield_for_dbfield(db_field, request, **kw)
        if field and (text := FLAG_TEXTS.get(db_field.name)):
            field.help_text = text
        return field

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Let a new account in: nobody else has use for one."""
        return {"is_staff": True, **super().get_changeform_initial_data(request)}

    @action(description="Roles", permissions=["see_roles"])
    def see_roles(self, request: HttpRequest) -> HttpResponse:
        """Lead to what each role lets people do."""
        return redirect("admin:auth_group_changelist")

    def has_see_roles_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("auth.view_group")

    @action(description="Sessions", permissions=["see_sessions"])
    def see_sessions(self, request: HttpRequest, object_id: str) -> HttpResponse:
        """Lead to where the person is signed in."""
        return redirect("admin:sessions_of", _number(object_id))

    def has_see_sessions_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """Show rights to all, and let superusers alone give them."""
        return () if request.user.is_superuser else RIGHTS

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return the account, locked until what is asked for is done.

        Read unlocked, an account that is promoted meanwhile would pass the comparison of rights,
        get the manager's password and lose the promotion again.
        """
        if request.method == "POST" and connection.in_atomic_block:
            superusers.lock()
            list(User.objects.select_for_update().filter(pk=_number(object_id)))
            list(Group.objects.select_for_update(of=("self",)).filter(user=_number(object_id)))
        return super().get_object(request, object_id, from_field)

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Any:
        account = form.instance
        if change and not all(getattr(account, flag) for flag in FLAGS):
            try:
                superusers.require_others(account)
            except Refused as refused:
                form.add_error(None, str(refused))
                raise RefusedForm(form) from None
        return super().save_form(request, form, change)

    @method_decorator(sensitive_post_parameters())
    def user_change_password(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Set a password, of an account that is locked meanwhile.

        It opens the account, and no old one is asked for: so who sets it proves first who they are.
        """
        if not proofs.is_fresh(request):
            return redirect(f"{reverse('admin:confirm')}?{urlencode({'next': request.path})}")
        with transaction.atomic():
            response = super().user_change_password(request, *args, **kwargs)
            if request.method == "POST" and response.status_code == HTTPStatus.FOUND:
                account = User.objects.get(pk=_number(str(args[0] if args else kwargs["id"])))
                record(account, StaffAction.PASSWORD_CHANGED, actor_of(request))
        return response

    def delete_view(self, request: HttpRequest, object_id: str, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().delete_view(request, object_id, *args, **kwargs)
        except Refused as refused:
            messages.error(request, str(refused))
            return redirect("admin:auth_user_change", object_id)

    def response_action(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        try:
            with transaction.atomic():
                return super().response_action(request, *args, **kwargs)
        except Refused as refused:
            messages.error(request, str(refused))
            return redirect(request.get_full_path())

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        superusers.require_others(obj)
        super().delete_model(request, obj)

    def delete_queryset(self, request: HttpRequest, queryset: Any) -> None:
        with transaction.atomic():
            superusers.lock()
            accounts = list(User.objects.select_for_update().filter(pk__in=queryset.values("pk")))
            if not all(_may_manage(request.user, account) for account in accounts):
                raise PermissionDenied
            superusers.require_others(*accounts)
            super().delete_queryset(request, queryset)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Refuse accounts that may do more, their passwords too."""
        return super().has_change_permission(request, obj) and _may_manage(request.user, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return super().has_delete_permission(request, obj) and _may_manage(request.user, obj)


@admin.register(Group)
class RoleAdmin(Recorded, CheckedList, BaseGroupAdmin, ModelAdmin):
    """Roles: what a group of people may do; made by superusers."""

    def state(self, row: Group) -> dict[str, Any]:
        return role_state(row)

    def get_object(self, request: HttpRequest, object_id: str, from_field: Any = None) -> Any:
        """Return the role, locked until it is saved: accounts are compared by what it gives."""
        if request.method == "POST" and connection.in_atomic_block:
            list(Group.objects.select_for_update().filter(pk=_number(object_id)))
        return super().get_object(request, object_id, from_field)

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:
        """Name the roles and leave out the rows that join them to their permissions."""
        found: Any = super().get_deleted_objects(objs, request)
        names, counts, *others = found
        joined = Group.permissions.through._meta.verbose_name_plural
        counts = {name: number for name, number in counts.items() if name != joined}
        return [name for name in names if not isinstance(name, list)], counts, *others

    def has_add_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.is_superuser)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(request.user.is_superuser)


def _gives_rights(form: Any) -> bool:
    """Whether a valid form of an account or a role gives more than is stored."""
    row, chosen = form.instance, form.cleaned_data
    stored = type(row)._default_manager.filter(pk=row.pk).first()
    if any(chosen.get(flag) and not getattr(stored, flag, False) for flag in FLAGS):
        return True
    given = [name for name in GRANTS if chosen.get(name)]
    return any(set(chosen[name]) - set(_held(stored, name)) for name in given)


def _held(stored: Any, name: str) -> Any:
    return getattr(stored, name).all() if stored else ()


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
