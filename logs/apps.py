"""The app's name in Django, and what it has done in the background."""

from django.apps import AppConfig


class LogsConfig(AppConfig):
    """What callers did: the request log, usage, retention."""

    name = "logs"
    verbose_name = "Logs"
    periodic_tasks = ("logs.retention.PRUNING",)
    worker_threads = ("logs.shipping.shipper.run",)
