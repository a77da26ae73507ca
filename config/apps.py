"""The project as an app, for its commands and templates, and the admin under its own site."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps
from django.db.models.signals import post_migrate, pre_migrate
from django.utils.module_loading import autodiscover_modules, import_string

from database.connections import time_limits


class ProjectConfig(AppConfig):
    """Settings, addresses and server wiring."""

    name = "config"
    default = True
    metrics = ("config.monitoring.metrics.METRICS",)

    def ready(self) -> None:
        autodiscover_modules("checks")
        pre_migrate.connect(time_limits.lift, sender=self)
        post_migrate.connect(time_limits.put_back, sender=self)
        # Named by string: models cannot be imported before the apps are ready.
        post_migrate.connect(import_string("config.admin_site.roles.provide"), sender=self)


class LatchkeyAdminConfig(admin_apps.AdminConfig):
    """Puts ``config.admin_site.site`` in the place of Django's default admin site."""

    default_site = "config.admin_site.site.LatchkeyAdminSite"
    default = False
