"""After a dependency failed, the next callers are told at once instead of waiting one by one."""

from time import monotonic


class Pause:
    """A moment in which nobody tries; then the next caller finds out whether it is back."""

    SECONDS = 0.5

    def __init__(self) -> None:
        self._ends_at = 0.0

    def start(self) -> None:
        """Begin the moment."""
        self._ends_at = monotonic() + self.SECONDS

    @property
    def is_on(self) -> bool:
        """Whether it lasts."""
        return monotonic() < self._ends_at
