"""Customers, their licenses and their telemetry in the admin."""

from customers.admin.customers import CustomerAdmin

__all__ = ["CustomerAdmin"]
