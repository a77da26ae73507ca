"""One limiter: admit a request in all its windows at once, or count it in none.

A request takes units, its cost: one unless told otherwise. Promised of every store: in any
rolling window no more units than the limit are admitted, by any schedule and from any number of
processes; a request is admitted with its whole cost in every window or with nothing in any, so
a refusal consumes nothing; of concurrent requests as many pass as the limit leaves room for. A
cost above a window's limit is never admitted. A store that cannot be reached raises
``CountersUnavailable``: nothing passes unmetered.

A window of up to ``SLOTS`` units is kept to the microsecond. Beyond that admissions closer than
a ``SLOTS``-th of the window share a slot, and leave it when the last of them does: never early,
and late by less than that part.
"""

from collections.abc import Sequence
from math import ceil
from typing import NamedTuple, Protocol

from database.outages import Unavailable
from metrics.families import Counter

SLOTS = 60
MICROSECONDS = 1_000_000

# Without a window everything would be admitted.
NO_WINDOW = "There is no window to count in. Name one or more."
NO_COST = "A request that costs less than 1 would never be refused. Name a cost of 1 or more."

# What a caller is told to wait when the limit is below the cost, so that no wait will do.
NEVER = 86_400 * MICROSECONDS

# A clock that was set back less than this is held at the newest admission; one that was wrong
# by more has left times that mean nothing, and the window starts anew.
MAX_BACKWARD = 60 * MICROSECONDS


class CountersUnavailable(Unavailable):
    """The store cannot be reached, so the request cannot be metered."""


LIMITER_ERRORS = Counter(
    "latchkey_limiter_errors_total",
    "Times that the rate-limit counters could not be used; each is a request answered 503.",
)
METRICS = (LIMITER_ERRORS,)


def counters_unavailable(reason: str) -> CountersUnavailable:
    """Return the error to raise, counted."""
    LIMITER_ERRORS.add()
    return CountersUnavailable(reason)


class Window(NamedTuple):
    """At most ``limit`` units in any rolling ``seconds``; 0 blocks."""

    name: str
    limit: int
    seconds: int


class Decision(NamedTuple):
    """The answer for one request; lists go by ``windows``, times are in microseconds.

    ``is_admitted``: whether every window had room. ``waits``: until the window has room, 0 where
    it had. ``remaining``: units left after this request. ``resets``: until there are more than
    that.
    """

    is_admitted: bool
    windows: Sequence[Window]
    waits: Sequence[int]
    remaining: Sequence[int]
    resets: Sequence[int]

    @property
    def violated(self) -> list[str]:
        return [window.name for window, wait in zip(self.windows, self.waits, strict=True) if wait]

    @property
    def retry_after(self) -> int:
        """Whole seconds after which every window has room, if nothing else is admitted."""
        return seconds(max(self.waits, default=0))


class Store(Protocol):
    """Where admissions are counted.

    Any number of windows, in any order; a subject is always asked with the same lengths in the
    same order, and starts anew when their number changes. Without a window, or with a cost
    below 1: ``ValueError``.
    """

    def hit(self, subject: str, windows: Sequence[Window], cost: int = 1) -> Decision:
        """Admit ``cost`` units of ``subject`` in every window, or in none."""

    def peek(self, subject: str, windows: Sequence[Window], cost: int = 1) -> Decision:
        """Say what ``hit`` would, without counting."""

    def ping(self) -> None:
        """Raise ``CountersUnavailable`` unless counting works."""

    def sweep(self) -> int:
        """Forget subjects whose windows have all passed; return how many."""


def require_countable(windows: Sequence[Window], cost: int) -> None:
    """Raise ``ValueError`` for what every store would always admit."""
    if not windows:
        raise ValueError(NO_WINDOW)
    if cost < 1:
        raise ValueError(NO_COST)


def seconds(microseconds: int) -> int:
    """Round up to whole seconds, so that no caller retries too early."""
    return ceil(microseconds / MICROSECONDS)
