"""The rate limiter: one interface, two stores, chosen by whether ``REDIS_URL`` is set."""

from functools import cache

from django.conf import settings

from apikeys.limiter.redis import RedisCounters
from apikeys.limiter.sqlite import CounterFile
from apikeys.limiter.store import Store
from database.periodic_tasks import PeriodicTask


@cache
def counters() -> Store:
    if settings.REDIS_URL:
        return RedisCounters(settings.REDIS_URL)
    return CounterFile(settings.COUNTER_FILE)


SWEEP = PeriodicTask("sweep of the rate-limit counters", 30, lambda now: counters().sweep())
