"""What better-auth's ``verifyApiKey`` does on the same PostgreSQL, called in its own process.

It is installed for the run, where node and npm are there and reach a registry.
"""

import json
import os
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.servers import Postgres, running

# The second does not name the first as its peer yet.
PACKAGES = ("better-auth@1.7.25", "@better-auth/api-key@1.7.5", "pg@8")
INSTALL = ("npm", "install", "--fetch-retries=0", "--no-audit", "--legacy-peer-deps", *PACKAGES)
SCRIPT = Path(__file__).with_suffix(".mjs")


def measure() -> list[float] | None:
    """Return verifications a second in turn and with eight at once; None if it is not there."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        return None
    with TemporaryDirectory() as folder, running(Postgres()) as server:
        installed = subprocess.run(INSTALL, cwd=folder, capture_output=True, check=False)
        if installed.returncode:
            return None
        script = shutil.copy(SCRIPT, folder)
        environment = os.environ | {"DATABASE_URL": server.url}
        done = subprocess.run(
            ["node", script], cwd=folder, env=environment, stdout=subprocess.PIPE, check=True
        )
    rates: list[float] = json.loads(done.stdout)
    return rates
