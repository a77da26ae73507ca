"""Customers: endpoints, admin, and what may be done to one."""
