"""The app's name in Django."""

from django.apps import AppConfig


class ProvisioningConfig(AppConfig):
    """Keys that are managed through the API, by keys, and as code."""

    name = "provisioning"
