"""The app's configuration and its periodic tasks."""

from django.apps import AppConfig


class LogsConfig(AppConfig):
    """The request log, usage statistics and retention."""

    name = "logs"
    verbose_name = "Logs"
    audited = ("logs.audited.LOG",)
    metrics = ("logs.metrics.METRICS",)
    periodic_tasks = (
        "logs.partitions.upkeep.MAKING",
        "logs.retention.PRUNING",
        "logs.retention.FORGETTING",
    )
    worker_threads = ("logs.shipping.shipper.run",)
