"""Lighthouse's scores of four pages of the admin, for a desktop; ``make lighthouse`` prints them.

Not a test: the score for speed is that of this machine, at this moment.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.support.product import Latchkey
from tests.support.servers import running
from tests.support.services import PATH, program

LISTS = {"overview": "/admin/", "keys": "/admin/apikeys/apikey/", "logs": "/admin/logs/requestlog/"}
# What each category has to reach.
TARGETS = {"accessibility": 95, "performance": 90}
KEY = re.compile(r'href="(/admin/apikeys/apikey/[0-9A-Za-z]{12}/change/)')


def main() -> None:
    """Start the product, and score its pages for somebody who is signed in."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.support.settings")
    chromium = program("Chromium")
    is_short = False
    with running(Latchkey()) as product:
        person = product.visitor()
        match = KEY.search(person.get(LISTS["keys"]).text)
        assert match is not None
        headers = json.dumps({"Cookie": "; ".join(f"{k}={v}" for k, v in person.cookies.items())})
        for name, address in (LISTS | {"key": match[1]}).items():
            scores = score(product.url + address, headers, chromium)
            is_short |= any(scores[category] < least for category, least in TARGETS.items())
            line = ", ".join(f"{category} {number}" for category, number in scores.items())
            sys.stdout.write(f"{name}: {line}\n")
    sys.exit(is_short)


def score(url: str, headers: str, chromium: str) -> dict[str, int]:
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        subprocess.run(
            [
                "lighthouse", url, "--preset=desktop", "--quiet", "--output=json",
                f"--output-path={report}", f"--only-categories={','.join(TARGETS)}",
                f"--extra-headers={headers}", "--no-enable-error-reporting",
                "--chrome-flags=--headless --no-sandbox --disable-gpu",
            ],
            env=os.environ | {"PATH": PATH, "CHROME_PATH": chromium}, check=True,
        )  # fmt: skip
        categories = json.loads(report.read_text())["categories"]
    return {name: round(categories[name]["score"] * 100) for name in TARGETS}


if __name__ == "__main__":
    main()
