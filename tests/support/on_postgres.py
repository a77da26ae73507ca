"""``python -m tests.support.on_postgres COMMAND``: run it with PostgreSQL and Redis of its own."""

import os
import subprocess
import sys

from tests.support.servers import Missing, Postgres, Redis, running


def main() -> int:
    """Run the command; return its exit code."""
    try:
        with running(Postgres()) as postgres, running(Redis()) as redis:
            environment = os.environ | {"DATABASE_URL": postgres.url, "REDIS_URL": redis.url}
            return subprocess.run(sys.argv[1:], env=environment, check=False).returncode
    except Missing as program:
        sys.stderr.write(f"{program} is not installed. Install postgresql and redis-server.\n")
        return 1


if __name__ == "__main__":
    sys.exit(main())
