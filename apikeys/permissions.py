"""The permission catalogue: what a key may be granted, and how people read it.

A write or manage permission does not imply read. Codes are stored on keys and named by views;
the order here is the order everywhere.
"""

from collections.abc import Iterable

from django.db import models


class Permission(models.TextChoices):
    """A code (``customers:read``) and its label (Customer Read)."""

    CUSTOMERS_READ = "customers:read", "Customer Read"
    CUSTOMERS_WRITE = "customers:write", "Customer Write"
    LICENSES_READ = "licenses:read", "License Read"
    LICENSES_MANAGE = "licenses:manage", "License Management"
    TELEMETRY_READ = "telemetry:read", "Telemetry Read"
    TELEMETRY_WRITE = "telemetry:write", "Telemetry Write"
    JOBS_READ = "jobs:read", "Job Read"
    JOBS_RUN = "jobs:run", "Job Run"
    LOGS_READ = "logs:read", "Log Read"

    @property
    def resource(self) -> str:
        """The kind of thing the permission is about: ``Customers``, ``Licenses`` …"""
        return self.value.partition(":")[0].capitalize()


def ordered(codes: Iterable[str]) -> tuple[str, ...]:
    """Return each code once, in the catalogue's order; raise ``ValueError`` for an unknown one."""
    selected = set(codes)
    if unknown := selected - set(Permission.values):
        raise ValueError(min(unknown))
    return tuple(code for code in Permission.values if code in selected)


def labels(codes: Iterable[str]) -> list[str]:
    by_code = dict(Permission.choices)
    return [str(by_code.get(code, code)) for code in codes]


def by_resource() -> dict[str, list[Permission]]:
    groups: dict[str, list[Permission]] = {}
    for permission in Permission:
        groups.setdefault(permission.resource, []).append(permission)
    return groups
