"""System checks of who can sign in, made with those of the database before a start."""

from typing import Any

from django.conf import settings
from django.contrib.auth.models import Group
from django.core.checks import Error, register

from apikeys.checks import TAG
from people.oidc.mapping import SUPERUSER


@register(TAG, deploy=True)
def check_roles(databases: Any = None, **_: Any) -> list[Error]:
    """See that every role that ``OIDC_ROLES`` gives exists."""
    named = {role for _, role in settings.OIDC_ROLES} - {SUPERUSER}
    if not databases or not named:
        return []
    known = set(Group.objects.values_list("name", flat=True))
    return [
        Error(
            f"OIDC_ROLES names the role {role!r}, which does not exist.",
            f"Choose among {', '.join(sorted(known))} and {SUPERUSER}, or make it in the admin.",
            id="people.E001",
        )
        for role in sorted(named - known)[:1]
    ]
