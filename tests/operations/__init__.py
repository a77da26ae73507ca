"""Backups, restores and the check-up."""
