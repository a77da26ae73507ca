"""The app's configuration and its periodic tasks."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Background jobs triggered through the API, and the worker."""

    name = "jobs"
    verbose_name = "Background jobs"
    audited = ("jobs.audited.JOBS",)
    metrics = ("jobs.metrics.METRICS",)
    periodic_tasks = (
        "jobs.queue.PRUNING",
        "jobs.queue.CANCELLING",
        "jobs.worker.loop.PRUNING",
    )
