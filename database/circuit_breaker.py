"""A circuit breaker: after a dependency failed, calls to it fail at once instead of waiting."""

from time import monotonic


class CircuitBreaker:
    """While open, calls fail at once; afterwards one call probes the dependency."""

    SECONDS = 0.5

    def __init__(self) -> None:
        self._ends_at = 0.0

    def open(self) -> None:
        self._ends_at = monotonic() + self.SECONDS

    @property
    def is_open(self) -> bool:
        return monotonic() < self._ends_at
