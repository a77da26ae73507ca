"""The product's settings, with the peer stack installed beside it."""

from config.settings import *  # noqa: F403
from config.settings import CACHES, INSTALLED_APPS, REDIS_URL

INSTALLED_APPS = [*INSTALLED_APPS, "rest_framework_api_key", "rest_framework_tracking"]
ROOT_URLCONF = "benchmarks.urls"
if not REDIS_URL:
    # What a peer installation without a server has: the fastest cache, shared by no two processes.
    CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
