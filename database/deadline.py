"""The deadline of an API request, which every wait for another machine respects."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

SECONDS = 1.0

_ends_at: ContextVar[float | None] = ContextVar("request deadline", default=None)


def running(seconds: float = SECONDS, *, since: float | None = None) -> "_Running":
    """Give the work inside ``seconds`` from ``since`` (``time.monotonic``), or from now."""
    return _Running((monotonic() if since is None else since) + seconds)


class _Running:
    """A deadline while it is in force; a generator would cost each request more."""

    __slots__ = ("_ends_at", "_token")

    def __init__(self, ends_at: float) -> None:
        self._ends_at = ends_at

    def __enter__(self) -> None:
        self._token = _ends_at.set(self._ends_at)

    def __exit__(self, *_: object) -> None:
        _ends_at.reset(self._token)


@contextmanager
def computing() -> Iterator[None]:
    """Put the deadline off by as long as the work inside takes: it is slow by intent.

    Hashing a passphrase takes tens of milliseconds of processor, and on a busy machine a second.
    """
    began_at = monotonic()
    try:
        yield
    finally:
        ends_at = _ends_at.get()
        if ends_at is not None:
            _ends_at.set(ends_at + monotonic() - began_at)


def seconds_left() -> float | None:
    """Return what is left, never less than a millisecond; None where nothing is running."""
    ends_at = _ends_at.get()
    return None if ends_at is None else max(0.001, ends_at - monotonic())
