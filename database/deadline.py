"""The deadline of an API request, which every wait for another machine respects."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

SECONDS = 1.0

_ends_at: ContextVar[float | None] = ContextVar("request deadline", default=None)


@contextmanager
def running(seconds: float = SECONDS, *, since: float | None = None) -> Iterator[None]:
    """Give the work inside ``seconds`` from ``since`` (``time.monotonic``), or from now."""
    token = _ends_at.set((monotonic() if since is None else since) + seconds)
    try:
        yield
    finally:
        _ends_at.reset(token)


def seconds_left() -> float | None:
    """Return what is left, never less than a millisecond; None where nothing is running."""
    ends_at = _ends_at.get()
    return None if ends_at is None else max(0.001, ends_at - monotonic())
