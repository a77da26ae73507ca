"""Partitions are PostgreSQL's: ``make test-postgres`` runs what is here."""

from django.conf import settings

is_postgresql = "postgresql" in settings.DATABASES["default"]["ENGINE"]
collect_ignore_glob = [] if is_postgresql else ["test_*.py"]
