"""Tasks of other Django apps (``django.tasks``, here the package django-tasks), run as jobs."""
