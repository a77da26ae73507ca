"""The app's name in Django."""

from django.apps import AppConfig


class MetricsConfig(AppConfig):
    """Metrics for Prometheus."""

    name = "metrics"
    verbose_name = "Metrics"
