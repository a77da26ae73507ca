"""Work at the very end of a transaction: all else is written, and the commit follows at once.

Django runs ``on_commit`` when it is too late to write. What is added here waits in the same list,
from which Django takes what a savepoint rolls back; our connections run the rest within the
transaction, just before they commit. If the work fails, so does the commit.
"""

from collections.abc import Callable
from typing import Any

from django.db import connection, transaction

Work = Callable[[list[Any]], None]


class _Item:
    """Something that waits for the commit, and the work that takes it."""

    def __init__(self, work: Work, value: Any) -> None:
        self.work, self.value = work, value

    def __call__(self) -> None:
        """Do nothing after the commit: the work is done."""


def add(work: Work, value: Any) -> None:
    """Have ``work`` called before the commit, with the values that were added for it, in order."""
    transaction.on_commit(_Item(work, value))


def run(driver: Any) -> None:
    """Do the work that waits for the commit of Django's connection, if that is ``driver``."""
    if connection.connection is not driver or not connection.run_on_commit:
        return
    values: dict[Work, list[Any]] = {}
    for _, item, *_ in connection.run_on_commit:
        if isinstance(item, _Item):
            values.setdefault(item.work, []).append(item.value)
    for work, waiting in values.items():
        work(waiting)
