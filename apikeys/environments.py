"""The environments, one row each; every key and every stored object belongs to exactly one.

All else derives from the rows: paths, columns and their constraints, the form of a credential,
what the request log masks, default limits, and labels in the admin.
"""

from typing import Any

from django.db import models

from apikeys.limits import WINDOWS, Limits


class Environment(models.TextChoices):
    """Where a key is good: the segment of the endpoint's path and the column of every row.

    value; tag, the hint in a credential; colour in the admin; divisor of the default limits
    of production; label.
    """

    PRODUCTION = "production", "prod", "info", 1, "Production"
    STAGING = "staging", "stag", "warning", 10, "Staging"
    DEVELOPMENT = "development", "dev", "primary", 10, "Development"

    tag: str
    colour: str
    default_limits: Limits

    def __new__(cls, value: str, *row: Any) -> "Environment":
        member = str.__new__(cls, value)
        member._value_ = value
        member.tag, member.colour, divisor = row
        member.default_limits = tuple(window.default // divisor for window in WINDOWS)
        return member


TAGS = tuple(environment.tag for environment in Environment)
MAX_ENVIRONMENT_LENGTH = max(map(len, Environment.values))
