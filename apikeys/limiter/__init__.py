"""The rate limiter: one interface, two stores, chosen by whether ``REDIS_URL`` is set."""

from functools import cache

from django.conf import settings
from django.utils.module_loading import import_string

from apikeys.limiter.sqlite import CounterFile
from apikeys.limiter.store import Store
from database.periodic_tasks import PeriodicTask


@cache
def counters() -> Store:
    if settings.REDIS_URL:
        # By its name: the client takes a sixth of a process's start to load.
        store: Store = import_string("apikeys.limiter.redis.RedisCounters")(settings.REDIS_URL)
        return store
    return CounterFile(settings.COUNTER_FILE)


SWEEP = PeriodicTask("sweep of the rate-limit counters", 30, lambda now: counters().sweep())
