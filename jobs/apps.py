"""The app's name in Django."""

from django.apps import AppConfig


class JobsConfig(AppConfig):
    """Background jobs triggered through the API, and the worker."""

    name = "jobs"
    verbose_name = "Background jobs"
