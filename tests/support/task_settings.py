"""The product's settings with the tasks of another app, as ``docs/jobs.md`` has them written."""

from config.settings import *  # noqa: F403
from config.settings import INSTALLED_APPS

INSTALLED_APPS = [*INSTALLED_APPS, "django_tasks"]
TASKS = {"default": {"BACKEND": "jobs.tasks.backend.JobBackend", "OPTIONS": {"ATTEMPTS": 50}}}
