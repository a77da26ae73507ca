"""The app's name in Django."""

from django.apps import AppConfig


class LogsConfig(AppConfig):
    """What callers did: the request log, usage, retention."""

    name = "logs"
    verbose_name = "Logs"
