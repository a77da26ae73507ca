"""The app's name in Django."""

from django.apps import AppConfig


class ApiKeysConfig(AppConfig):
    """Keys: their form, storage, life, and the guard every API request passes."""

    name = "apikeys"
    verbose_name = "Keys"
