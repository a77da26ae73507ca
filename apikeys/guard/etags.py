"""Changes that name what they change: ``ETag`` and ``If-Match`` (RFC 9110 §8.8.3, §13.1.1)."""

from typing import Any

from rest_framework.request import Request

from apikeys.guard.problems import Problem


def etag(row: Any) -> str:
    """Return the tag of a row as it is; ``updated_at`` moves with every change."""
    return f'"{row.pk.hex[-12:]}-{int(row.updated_at.timestamp() * 1_000_000):x}"'


def require_match(request: Request, row: Any) -> None:
    """Raise the 412 if the caller changes something else than what is stored."""
    if_match = request.headers.get("If-Match")
    if if_match is None or if_match.strip() == "*":
        return
    if etag(row) not in (tag.strip() for tag in if_match.split(",")):
        raise Problem(
            "precondition_failed",
            "It was changed after you read it. Read it again, and send its ETag.",
        )
