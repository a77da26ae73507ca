"""Periodic tasks that apps declare and the worker of ``jobs`` runs.

An app's config lists the dotted paths of its ``PeriodicTask`` objects in ``periodic_tasks``, and in
``worker_threads`` the functions that run as long as the worker does: each is given an event, and
returns soon after that is set.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.apps import apps
from django.utils.module_loading import import_string


@dataclass(frozen=True)
class PeriodicTask:
    """A function to call every ``every`` seconds."""

    name: str
    every: float
    run: Callable[[datetime], object]
    # Tasks on one thread run in turn, so a task that may block needs another thread.
    thread: str = "maintenance"


def declared(attribute: str) -> list[Any]:
    """Return what the configs of all apps name in an attribute."""
    return [
        import_string(path)
        for config in apps.get_app_configs()
        for path in getattr(config, attribute, ())
    ]
