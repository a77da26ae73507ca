"""The app's configuration and its periodic tasks."""

from django.apps import AppConfig


class ApiKeysConfig(AppConfig):
    """API keys, their lifecycle, and the guard of the API."""

    name = "apikeys"
    verbose_name = "Keys"
    periodic_tasks = ("apikeys.limiter.SWEEP", "apikeys.guard.idempotency.PRUNING")
