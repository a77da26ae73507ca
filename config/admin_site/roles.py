"""The staff roles that come with the product, as groups."""

from typing import Any

from django.contrib.auth.models import Group, Permission
from django.contrib.contenttypes.models import ContentType
from django.db import connection

VIEW = (
    "apikeys.view_apikey",
    "apikeys.view_custompermission",
    "audit.view_event",
    "customers.view_customer",
    "customers.view_license",
    "customers.view_telemetryevent",
    "logs.view_requestlog",
    "jobs.view_job",
    "gateway.view_service",
)
ROLES = {
    "Key administrator": (
        *VIEW,
        "apikeys.add_apikey",
        "apikeys.change_apikey",
        "apikeys.narrow_apikey",
        "apikeys.regenerate_apikey",
        "apikeys.revoke_apikey",
        "apikeys.activate_apikey",
        "apikeys.add_custompermission",
        "apikeys.change_custompermission",
        "apikeys.delete_custompermission",
        "customers.add_customer",
        "customers.change_customer",
        "customers.delete_customer",
        "customers.add_license",
        "customers.change_license",
        "jobs.change_job",
        "gateway.add_service",
        "gateway.change_service",
        "gateway.delete_service",
    ),
    # May narrow what a key can do, never widen it: so no activate and no regenerate.
    "Key operator": (*VIEW, "apikeys.narrow_apikey", "apikeys.revoke_apikey"),
    "Auditor": VIEW,
}
# What people who give the roles are told of them.
DESCRIPTIONS = {
    "Key administrator": "Creates, changes, regenerates, revokes and activates keys; manages"
    " permissions, customers, licenses and services; cancels and retries jobs. Sees what an Auditor"
    " sees.",
    "Key operator": "Revokes keys, removes their permissions and lowers their limits. Sees what an"
    " Auditor sees.",
    "Auditor": "Sees keys, permissions, services, customers, licenses, telemetry, jobs, requests"
    " and the audit trail, and changes none of them.",
}


def provide(**_: Any) -> None:
    """Give the groups exactly their permissions; run after each migration.

    An installation that wants other rights makes a group of its own.
    """
    tables = {Permission._meta.db_table, Group._meta.db_table, ContentType._meta.db_table}
    if not tables <= set(connection.introspection.table_names()):
        return
    permissions = {
        f"{permission.content_type.app_label}.{permission.codename}": permission
        for permission in Permission.objects.select_related("content_type")
    }
    if not permissions.keys() >= {code for codes in ROLES.values() for code in codes}:
        # Permissions of later apps do not exist yet; the last ``post_migrate`` creates the groups.
        return
    for name, codes in ROLES.items():
        group, _created = Group.objects.get_or_create(name=name)
        group.permissions.set([permissions[code] for code in codes])
