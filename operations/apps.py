"""The app of backups, restores and the check-up; it has no tables."""

from django.apps import AppConfig


class OperationsConfig(AppConfig):
    """Commands for those who run an installation."""

    name = "operations"
