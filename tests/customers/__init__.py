"""Customers and their API."""
