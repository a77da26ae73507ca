"""One hand-written SQL statement for many rows, on both databases.

For usage and telemetry totals, and for the thousands of customers of a job.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import connection


def run(sql: str, columns: Mapping[str, str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Run ``sql`` for every row; in it, ``{given}`` has ``columns`` (with PostgreSQL's types).

    In the order of ``rows``: keep one everywhere, or two writers wait for each other.
    """
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # One statement over arrays: a tenth of one for each row.
            arrays = ", ".join(f"%s::{kind}[]" for kind in columns.values())
            given = f"unnest({arrays}) AS given ({', '.join(columns)})"
            values = [list(column) for column in zip(*rows, strict=True)]
            cursor.execute(sql.format(given=given), values)
        else:
            marks = ", ".join(f"%s AS {name}" for name in columns)
            cursor.executemany(sql.format(given=f"(SELECT {marks}) AS given"), rows)
