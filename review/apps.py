"""The app's configuration."""

from django.apps import AppConfig


class ReviewConfig(AppConfig):
    """The review of keys, and proposed changes."""

    name = "review"
    verbose_name = "Review"
