"""Customers, what they hold, and their public API."""
