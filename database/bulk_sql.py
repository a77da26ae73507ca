"""One hand-written SQL statement for many rows, on both databases.

For usage, telemetry and its totals, and for the thousands of customers of a job.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import connection

# How Django stores them in SQLite; times are in UTC.
IN_SQLITE: dict[type, Callable[[Any], str]] = {
    UUID: lambda value: value.hex,
    datetime: lambda value: value.isoformat(" ").removesuffix("+00:00"),
}


def run(sql: str, columns: Mapping[str, str], rows: Sequence[tuple[Any, ...]]) -> None:
    """Run ``sql`` for every row; in it, ``{given}`` has ``columns`` (with PostgreSQL's types).

    In the order of ``rows``: keep one everywhere, or two writers wait for each other.
    """
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            # One statement, and one value in it: psycopg quotes arrays element by element.
            members = ", ".join(f"{name} {kind}" for name, kind in columns.items())
            given = f"json_to_recordset(%s::json) AS given ({members})"
            values = orjson.dumps([dict(zip(columns, row, strict=True)) for row in rows])
            cursor.execute(sql.format(given=given), [values.decode()])
        else:
            marks = ", ".join(f"%s AS {name}" for name in columns)
            plain = [
                [IN_SQLITE[type(one)](one) if type(one) in IN_SQLITE else one for one in row]
                for row in rows
            ]
            cursor.executemany(sql.format(given=f"(SELECT {marks}) AS given"), plain)
