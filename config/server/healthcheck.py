"""The image's health check: exits 0 if the web server answers that it is alive."""

import os
import sys
from urllib.request import urlopen

URL = f"http://127.0.0.1:{os.environ.get('PORT', '8000')}/healthz"


def main() -> int:
    try:
        with urlopen(URL, timeout=2) as answer:
            return int(answer.status != 200)
    except OSError as error:
        sys.stderr.write(f"{URL}: {error}\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
