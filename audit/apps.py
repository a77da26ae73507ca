"""The app's configuration."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """One audit trail for every app."""

    name = "audit"
    verbose_name = "Audit"
    audited = ("audit.export.TRAIL",)
