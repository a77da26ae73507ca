"""The three environments; every key and every stored object belongs to exactly one."""

from django.db import models


class Environment(models.TextChoices):
    """Where a key is good: the segment of the endpoint's path and the column of every row."""

    PRODUCTION = "production", "Production"
    STAGING = "staging", "Staging"
    DEVELOPMENT = "development", "Development"

    @property
    def tag(self) -> str:
        """The four letters a credential carries as a hint: ``prod``, ``stag`` or ``dev``."""
        return TAGS[self]


TAGS = {Environment.PRODUCTION: "prod", Environment.STAGING: "stag", Environment.DEVELOPMENT: "dev"}
