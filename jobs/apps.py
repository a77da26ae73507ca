"""The app's configuration and its periodic tasks."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Background jobs triggered through the API, and the worker."""

    name = "jobs"
    verbose_name = "Background jobs"
    periodic_tasks = (
        "jobs.queue.PRUNING",
        "jobs.queue.CANCELLING",
        "jobs.worker.loop.PRUNING",
        "jobs.expiry_notices.ANNOUNCING",
    )
