"""Licenses: endpoints, admin and lifecycle."""
