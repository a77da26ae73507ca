"""The app's name in Django."""

from django.apps import AppConfig


class GatewayConfig(AppConfig):
    """Services guarded from outside, and their rules."""

    name = "gateway"
    verbose_name = "Gateway"
    audited = ("gateway.audited.SERVICES",)
    permission_users = ("gateway.lifecycle.services_by_permission",)
