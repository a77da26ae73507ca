"""The app's configuration and its periodic task."""

from django.apps import AppConfig


class AlertsConfig(AppConfig):
    """Alerts by e-mail."""

    name = "alerts"
    verbose_name = "Alerts"
    periodic_tasks = ("alerts.sending.ALERTING",)
