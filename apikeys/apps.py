"""The app's name in Django, and what it has done in the background."""

from django.apps import AppConfig


class ApiKeysConfig(AppConfig):
    """Keys: their form, storage, life, and the guard every API request passes."""

    name = "apikeys"
    verbose_name = "Keys"
    periodic_tasks = ("apikeys.limiter.SWEEP", "apikeys.guard.idempotency.PRUNING")
