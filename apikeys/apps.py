"""The app's configuration and its periodic tasks."""

from django.apps import AppConfig


class ApiKeysConfig(AppConfig):
    """API keys, their lifecycle, and the guard of the API."""

    name = "apikeys"
    verbose_name = "Keys"
    audited = ("apikeys.audited.KEYS", "apikeys.audited.PERMISSIONS")
    metrics = ("apikeys.limiter.store.METRICS",)
    periodic_tasks = ("apikeys.limiter.SWEEP", "apikeys.guard.idempotency.PRUNING")
