"""Pages of a list: newest first, by a cursor that stays good while rows are added.

Ids sort by when they were made (``database.uuid7``), so a page is the rows below the last
id of the page before it: one range of an index, however deep.
"""

import base64
import binascii
from typing import Any, TypeVar
from uuid import UUID

from django.db.models import Model, QuerySet

from apikeys.guard.problems import FieldErrors

M = TypeVar("M", bound=Model)


def page_of(rows: "QuerySet[M]", query: dict[str, Any]) -> tuple[list[M], str | None]:
    """Return one page of ``rows`` and the next page's cursor, None on the last."""
    limit: int = query["limit"]
    if cursor := query.get("cursor"):
        rows = rows.filter(pk__lt=decode(cursor))
    found = list(rows.order_by("-pk")[: limit + 1])
    page = found[:limit]
    return page, encode(page[-1].pk) if len(found) > limit else None


def encode(last: UUID) -> str:
    """Return the cursor that continues after ``last``."""
    return base64.urlsafe_b64encode(last.bytes).decode().rstrip("=")


def decode(cursor: str) -> UUID:
    """Return the id in a cursor; raise the 400 for what is none of ours."""
    try:
        return UUID(bytes=base64.b64decode(cursor + "==", altchars=b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise FieldErrors(
            [("cursor", "This is not a cursor. Use next_cursor of the page before.")]
        ) from None
