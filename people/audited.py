"""What the audit trail says of staff accounts, of roles, and of who signs in."""

from typing import Any

from django.contrib.auth.models import Group, Permission, User
from django.db import models
from django.db.models import QuerySet

from audit.kinds import Kind


class StaffAction(models.TextChoices):
    """An audited action on a staff account, or of its holder."""

    CREATED = "created", "Created"
    UPDATED = "updated", "Updated"
    DELETED = "deleted", "Deleted"
    PASSWORD_CHANGED = "password_changed", "Password changed"
    SIGNED_IN = "signed_in", "Signed in"
    SIGNED_OUT = "signed_out", "Signed out"
    REFUSED = "password_refused", "Password refused"
    LOCKED_OUT = "locked_out", "Locked out"
    FACTOR_REFUSED = "second_factor_refused", "Second factor refused"
    SIGN_IN_REFUSED = "sign_in_refused", "Sign-in refused"
    SESSION_ENDED = "session_ended", "Session ended"
    FACTOR_ADDED = "second_factor_added", "Second factor added"
    FACTOR_REMOVED = "second_factor_removed", "Second factor removed"
    CODES_MADE = "recovery_codes_made", "Recovery codes made"
    FACTORS_RESET = "second_factor_reset", "Second factors reset"
    CONFIRMED = "identity_confirmed", "Identity confirmed"
    UNRECORDED = "failures_not_recorded", "Further failures are not recorded"


class RoleAction(models.TextChoices):
    """An audited action on a role."""

    CREATED = "created", "Created"
    UPDATED = "updated", "Updated"
    DELETED = "deleted", "Deleted"


STAFF = Kind("auth.user", "Staff account", StaffAction, name_field="username")
ROLES = Kind("auth.group", "Role", RoleAction, name_field="name")
STAFF_FIELDS = (
    "username", "first_name", "last_name", "email", "is_active", "is_staff", "is_superuser",
)  # fmt: skip


def staff_state(account: User) -> dict[str, Any]:
    """Return what the trail says of an account; nothing of its password."""
    return {
        **{name: getattr(account, name) for name in STAFF_FIELDS},
        "roles": sorted(account.groups.values_list("name", flat=True)),
        "permissions": _codes(account.user_permissions.all()),
    }


def role_state(role: Group) -> dict[str, Any]:
    return {"name": role.name, "permissions": _codes(role.permissions.all())}


def changes(before: dict[str, Any] | None, after: dict[str, Any] | None) -> dict[str, Any]:
    """Return what differs between two states; None where there is none."""
    names = after or before or {}
    pairs = {name: [(before or {}).get(name), (after or {}).get(name)] for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _codes(permissions: "QuerySet[Permission]") -> list[str]:
    rows = permissions.values_list("content_type__app_label", "codename")
    return sorted(f"{app}.{code}" for app, code in rows)
