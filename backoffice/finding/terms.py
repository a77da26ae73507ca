"""What was typed into the one search, and the ids that it may be or begin."""

import re
from typing import NamedTuple
from uuid import UUID

MAX_TERM = 200
# Shorter beginnings of ids fit too many rows to be of use.
MIN_ID_DIGITS = 8
_WHOLE_ID = re.compile(r"(?i)\b[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}\b")
_PART_OF_ID = re.compile(rf"(?i)[0-9a-f][0-9a-f-]{{{MIN_ID_DIGITS - 1},35}}")
_DIGITS = 32


class Term(NamedTuple):
    """A search term; ``ids`` is the range of UUIDs that are it, or begin with it."""

    text: str
    ids: tuple[UUID, UUID] | None = None

    @property
    def is_whole_id(self) -> bool:
        return self.ids is not None and self.ids[0] == self.ids[1]


def read(typed: str) -> Term:
    """Return the term; of a text with an id in it, such as a log line, the id."""
    text = " ".join(typed.replace("\0", "").split())[:MAX_TERM]
    if whole := _WHOLE_ID.search(text):
        text = whole[0].lower()
    digits = text.replace("-", "").lower()
    if not _PART_OF_ID.fullmatch(text) or not MIN_ID_DIGITS <= len(digits) <= _DIGITS:
        return Term(text)
    first, last = (UUID(digits.ljust(_DIGITS, fill)) for fill in "0f")
    return Term(text, (first, last))
