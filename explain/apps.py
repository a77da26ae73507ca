"""The app's configuration."""

from django.apps import AppConfig


class ExplainConfig(AppConfig):
    """Replays of refused requests, and their remedies."""

    name = "explain"
    verbose_name = "Explanations"
