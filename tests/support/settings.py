"""The product's settings, in a data folder that lasts as long as the tests.

The database and the counters are those that ``DATABASE_URL`` and ``REDIS_URL`` name; a
developer's ``.env`` counts for nothing.
"""

import os
import tempfile

for name in ("DATABASE_URL", "REDIS_URL", "TRUSTED_PROXIES", "API_ENVIRONMENTS", "HTTPS"):
    os.environ.setdefault(name, "")
os.environ["LATCHKEY_VAR"] = tempfile.mkdtemp(prefix="latchkey-tests-")

from config.settings import *  # noqa: E402, F403
from config.settings import LOGGING  # noqa: E402

# A line for each request of a test's own client says nothing.
LOGGING["loggers"] = {**LOGGING["loggers"], "httpx": {"level": "WARNING"}}
