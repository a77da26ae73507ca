"""Running an installation: backups, restores and the check-up."""
