"""Licenses: endpoints, admin, and the moves that a license can make."""
