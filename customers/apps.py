"""The app's configuration."""

from django.apps import AppConfig


class CustomersConfig(AppConfig):
    """Customers, what they hold, and their public API."""

    name = "customers"
    verbose_name = "Customers"
    audited = ("customers.audited.CUSTOMERS", "customers.audited.LICENSES")
