"""The product's settings, in a data folder that lasts as long as the tests.

The database and the counters are those that ``DATABASE_URL`` and ``REDIS_URL`` name; a
developer's ``.env`` counts for nothing. Passwords are hashed by the product's algorithm at its
least cost: it is meant to be slow, and most tests have somebody log in.
"""

import os
import tempfile
from urllib.parse import urlsplit

for name in (
    "DATABASE_URL", "REDIS_URL", "LOG_STORE_URL", "TRUSTED_PROXIES", "API_ENVIRONMENTS", "HTTPS",
):  # fmt: skip
    os.environ.setdefault(name, "")
# A database of Redis for each worker of xdist, as Django makes one of PostgreSQL: clearing the
# cache empties the whole database, and the counters of whoever else counts there.
if os.environ["REDIS_URL"] and (worker := os.environ.get("PYTEST_XDIST_WORKER")):
    number = worker.removeprefix("gw")
    os.environ["REDIS_URL"] = urlsplit(os.environ["REDIS_URL"])._replace(path=f"/{number}").geturl()
os.environ["LATCHKEY_VAR"] = tempfile.mkdtemp(prefix="latchkey-tests-")

from django.contrib.auth.hashers import Argon2PasswordHasher  # noqa: E402

from config.settings import *  # noqa: E402, F403
from config.settings import DATABASES, LOGGING  # noqa: E402

if "log_store" in DATABASES:
    # Nothing to migrate or roll back; tests/conftest.py empties it.
    DATABASES["log_store"]["TEST"] = {"MIRROR": "default"}
# A line for each request of a test's own client says nothing.
LOGGING["loggers"] = {**LOGGING["loggers"], "httpx": {"level": "WARNING"}}
# Each test client would list every static file anew; so they are looked for when one is asked for.
WHITENOISE_AUTOREFRESH = True


class CheapArgon2(Argon2PasswordHasher):
    """Argon2 at the least cost that it allows."""

    time_cost = 1
    memory_cost = 8
    parallelism = 1


PASSWORD_HASHERS = ["tests.support.settings.CheapArgon2"]
