"""The request log as a file: CSV for spreadsheets, NDJSON for programs; streamed, newest first."""

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain
from typing import Any
from uuid import UUID

from django.db.models import QuerySet

from backoffice import csv_lines
from database import timestamps
from logs.models import RequestLog
from logs.stores import log_store

FORMATS = {"csv": "text/csv; charset=utf-8", "ndjson": "application/x-ndjson"}
COLUMNS = (
    "id", "at", "environment", "key_id", "secret_version", "customer_id", "job_id", "permission",
    "method", "path", "route", "query", "status", "code", "duration", "request_bytes",
    "response_bytes", "address", "user_agent", "kind", "service", "host", "caller_id",
    "trace",
)  # fmt: skip
CONTENT = (
    "request_headers",
    "response_headers",
    "request_body",
    "response_body",
    "is_request_cut",
    "is_response_cut",
)
CHUNK = 200


def lines(rows: "QuerySet[RequestLog]", form: str) -> Iterator[str]:
    """Yield the file's lines; ``form`` is one of ``FORMATS``."""
    return _csv(rows) if form == "csv" else _ndjson(rows)


def chunks(rows: "QuerySet[RequestLog]") -> Iterator[list[RequestLog]]:
    """Yield all rows by ranges of ids: each query is short, and no cursor stays open."""
    rows = log_store().related(rows, "content")
    last: UUID | None = None
    while True:
        walked, ends_at = log_store().walk(_before(last, rows))
        while chunk := list(_before(last, walked)[:CHUNK]):
            yield chunk
            last = chunk[-1].pk
            if len(chunk) < CHUNK:
                break
        if ends_at is None:
            return
        last = ends_at


def _before(last: UUID | None, rows: "QuerySet[RequestLog]") -> "QuerySet[RequestLog]":
    return rows.filter(pk__lt=last) if last else rows


def _csv(rows: "QuerySet[RequestLog]") -> Iterator[str]:
    chunks_of_rows = chunks(rows)
    # Read before the header is written: a database that is down leaves no partial file.
    first = next(chunks_of_rows, [])
    yield csv_lines.line([*COLUMNS, *CONTENT])
    for chunk in chain([first], chunks_of_rows):
        yield "".join(csv_lines.line(map(_cell, _values(row))) for row in chunk)


def _ndjson(rows: "QuerySet[RequestLog]") -> Iterator[str]:
    for chunk in chunks(rows):
        yield "".join(
            json.dumps(dict(zip((*COLUMNS, *CONTENT), _values(row), strict=True)), default=_plain)
            + "\n"
            for row in chunk
        )


def _values(row: RequestLog) -> Iterable[Any]:
    content = getattr(row, "content", None)
    return chain(
        (getattr(row, name) for name in COLUMNS), (getattr(content, name, "") for name in CONTENT)
    )


def _plain(value: Any) -> str:
    return timestamps.text(value) if isinstance(value, datetime) else str(value)


def _cell(value: Any) -> str:
    return "" if value is None else _plain(value)
