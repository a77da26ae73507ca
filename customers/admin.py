"""Customers, their licenses and their telemetry in the admin."""

from customers.customers.admin import CustomerAdmin
from customers.finders import find_customers, find_licenses
from customers.licenses.admin import LicenseAdmin
from customers.telemetry.admin import TelemetryAdmin

__all__ = ["CustomerAdmin", "LicenseAdmin", "TelemetryAdmin", "find_customers", "find_licenses"]
