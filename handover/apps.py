"""The app's configuration and its periodic task."""

from django.apps import AppConfig


class HandoverConfig(AppConfig):
    """Hand-over links."""

    name = "handover"
    verbose_name = "Hand-over links"
    periodic_tasks = ("handover.lifecycle.EXPIRY",)
