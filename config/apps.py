"""The project as an app, for its commands and templates, and the admin under its own site."""

from django.apps import AppConfig
from django.contrib.admin import apps as admin_apps


class ProjectConfig(AppConfig):
    """Settings, addresses and server wiring."""

    name = "config"
    default = True


class LatchkeyAdminConfig(admin_apps.AdminConfig):
    """Puts ``config.admin_site`` in the place of Django's default admin site."""

    default_site = "config.admin_site.LatchkeyAdminSite"
    default = False
