"""PostgreSQL's limits for requests, lifted for what takes as long as it takes.

``lock_timeout`` stays: what waits to alter a table holds up everybody who uses it after that.
"""

from typing import Any

from django.db import connections

LIMITS = ("statement_timeout", "idle_in_transaction_session_timeout")
LIFT_FOR_TRANSACTION = "".join(f"SET LOCAL {name} = 0;" for name in LIMITS)


def lift(*, using: str, **_: Any) -> None:
    """Lift them until ``put_back``; called before migrations."""
    _execute(using, "".join(f"SET {name} = 0;" for name in LIMITS))


def put_back(*, using: str, **_: Any) -> None:
    """Have them count again; called after migrations."""
    _execute(using, "".join(f"RESET {name};" for name in LIMITS))


def _execute(using: str, statements: str) -> None:
    if connections[using].vendor == "postgresql":
        with connections[using].cursor() as cursor:
            cursor.execute(statements)
