"""The built-in permissions, and the form that the code of any permission has.

A write or manage permission does not imply read. Codes are stored on keys and named by views;
the order here is the order everywhere. Custom permissions are rows, which ``catalogue`` reads.
"""

import re

from django.db import models

CODE = re.compile(r"[a-z][a-z0-9._-]{0,39}:[a-z][a-z0-9._-]{0,39}")
MAX_CODE_LENGTH = 81


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
    KEYS_VERIFY = "keys:verify", "Key Verification"
    KEYS_READ = "keys:read", "Key Read"
    KEYS_MANAGE = "keys:manage", "Key Management"


BUILT_IN: dict[str, str] = dict(Permission.choices)


def label(code: str) -> str:
    """Return a built-in permission's label, and of any other the code itself, without a query."""
    return BUILT_IN.get(code, code)


def resource(code: str) -> str:
    """Return the kind of thing that a permission is about: ``Customers``, ``Licenses`` …"""
    return code.partition(":")[0].capitalize()
