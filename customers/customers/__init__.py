"""Customers: endpoints, admin and lifecycle."""
