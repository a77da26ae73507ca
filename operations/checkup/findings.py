"""What a check-up finds: a word for programs, and two sentences for people."""

from collections.abc import Callable, Iterator
from typing import NamedTuple


class Finding(NamedTuple):
    """Something to see to: what is wrong, and what to do."""

    code: str
    problem: str
    remedy: str


Check = Callable[[], Iterator[Finding]]


def counted(number: int, one: str, many: str = "") -> str:
    """Return a number with its noun."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"
