"""Customers, their licenses and their telemetry in the admin."""

from customers.admin.customers import CustomerAdmin
from customers.admin.licenses import LicenseAdmin
from customers.admin.telemetry import TelemetryAdmin

__all__ = ["CustomerAdmin", "LicenseAdmin", "TelemetryAdmin"]
