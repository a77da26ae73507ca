"""Requests in the one search."""

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from backoffice.finding.registry import MAX_FOUND, Found, by_id, finder
from backoffice.finding.terms import Term
from database.outages import LogStoreUnavailable
from logs.models import RequestLog


@finder("Requests", "id or trace id", permission="logs.view_requestlog")
def find_requests(term: Term) -> Iterator[Found]:
    # Keys are found by the same search, whether the log can be read or not.
    found: Any = []
    with suppress(LogStoreUnavailable):
        found = _requests(term)
    for record in found:
        detail = f"{record.status} {record.code}".strip() + f", {record.at:%Y-%m-%d %H:%M:%S} UTC"
        yield Found(record, f"{record.method} {record.path}", detail, term.is_whole_id)


def _requests(term: Term) -> Any:
    rows = RequestLog.objects.all()
    found = by_id(rows, term)
    if not found and term.ids and term.is_whole_id:
        found = list(rows.filter(trace_id=term.ids[0]).newest_first()[:MAX_FOUND])
    return found
