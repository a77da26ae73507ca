"""The app's configuration and its periodic tasks."""

from django.apps import AppConfig


class LogsConfig(AppConfig):
    """The request log, usage statistics and retention."""

    name = "logs"
    verbose_name = "Logs"
    periodic_tasks = ("logs.retention.PRUNING",)
    worker_threads = ("logs.shipping.shipper.run",)
